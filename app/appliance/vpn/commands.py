"""`luckygas vpn`: who may come in by it. Exit codes: 0 good, 1 refused, 2 not in force."""

import argparse
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from appliance.firewall import rules
from appliance.output import CRITICAL, OK, FailedError, RefusedError, ago, answer, failed, refused
from appliance.system import BusyError, locked, log, open_log, run, write_file
from appliance.trial import session
from appliance.vpn import peers as records
from appliance.vpn import wireguard
from appliance.vpn.peers import Peer, Settings

LOCK = Path("/run/luckygas-vpn.lock")
# In memory, and only for as long as it takes to bring it to its device.
CONFIGURATIONS = Path("/run/luckygas-vpn")
KEPT_SECONDS = 3600


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = (
        "list who may come in by the VPN; add NAME: print a new device's configuration; revoke NAME; "
        "show NAME: print it once more; apply: put what is on the disk in force"
    )
    parser = verbs.add_parser("vpn", help=text, description=text)
    parser.add_argument("act", nargs="?", choices=["list", "add", "revoke", "show", "apply"], default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of a device, like anna-laptop")
    parser.add_argument("--key", metavar="PUBLIC", help="of a device that made its own pair of keys")
    parser.add_argument("--address", help="instead of the first that is free")
    parser.add_argument("--qr", action="store_true", help="draw it, for the camera of a phone")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run_verb)


def run_verb(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused, or fails, says why."""
    open_log("luckygas-vpn")
    verb = {"list": show_all, "add": admit, "revoke": revoke, "show": show, "apply": apply}[arguments.act]
    try:
        return verb(arguments)
    except (BusyError, RefusedError) as problem:
        return refused(arguments, problem)
    except FailedError as problem:
        return failed(arguments, problem)


def name_of(arguments: argparse.Namespace) -> str:
    """Return which device is meant."""
    if not arguments.name:
        raise RefusedError(f"which device? luckygas vpn {arguments.act} NAME")
    return arguments.name


def alone() -> AbstractContextManager[None]:
    """Keep every other change out."""
    return locked(LOCK, 30.0, "somebody else changes the VPN at the moment; try again")


def admit(arguments: argparse.Namespace) -> int:
    """Let a new device in."""
    if arguments.key and arguments.qr:
        raise RefusedError("the device made its own key, so there is nothing that a camera could bring it")
    settings = Settings.load()
    with alone():
        known = records.load()
        name = records.check_name(known, name_of(arguments))
        own = wireguard.public_key(settings.private_key)
        private_key = None if arguments.key else wireguard.new_key()
        key = records.check_key(known, arguments.key or wireguard.public_key(private_key), own)
        address = arguments.address and records.check_address(known, arguments.address, settings)
        peer = Peer(name, address or records.free_address(known, settings), key)
        keep(settings, known, [*known, peer])
        log(f"{name} may come in as {peer.address}, with the key {key}")
        text = wireguard.client_configuration(settings, peer, private_key)
        if private_key:
            lend(peer, text)
    return tell(arguments, peer, text)


def revoke(arguments: argparse.Namespace) -> int:
    """Let a device in no more."""
    settings = Settings.load()
    with alone():
        known = records.load()
        peer = records.named(known, name_of(arguments))
        rest = [one for one in known if one != peer]
        if is_vpn_only() and not session.is_console() and not seen(settings, rest):
            raise RefusedError(
                "SSH is open to the VPN alone, and no other device has come in by it since it started: perhaps nobody "
                "could any more. Connect with another device first, or set site_ssh to public or "
                "admin-nets and run the playbook, or type this at the machine's console"
            )
        keep(settings, known, rest)
        forget(peer)
        log(f"{peer.name} ({peer.address}) may come in no more")
    answer(arguments, {"revoked": peer.name, "address": peer.address}, f"{peer.name} is out, from now on.")
    return OK


def show(arguments: argparse.Namespace) -> int:
    """Show a device's configuration, with its private key as long as that is here."""
    settings, peer = Settings.load(), records.named(records.load(), name_of(arguments))
    file = CONFIGURATIONS / peer.name
    if arguments.qr and not file.exists():
        raise RefusedError(
            f"the private key of {peer.name} is on its device alone: here it is kept for an hour at most. For another "
            f"try: luckygas vpn revoke {peer.name}, then luckygas vpn add {peer.name} --qr"
        )
    text = file.read_text() if file.exists() else wireguard.client_configuration(settings, peer, None)
    return tell(arguments, peer, text)


def apply(arguments: argparse.Namespace) -> int:
    """Put what is on the disk in force."""
    settings = Settings.load()
    with alone():
        known = records.load()
        changed = keep(settings, known, known, start=True)
        problem = wireguard.problem(settings, records.load(), wireguard.look(settings))
    text = "brought into force" if changed else "in force already"
    if problem:  # nobody enabled it, as in the middle of an installation
        text = f"written down for its start: systemctl enable --now {settings.unit}"
    answer(arguments, {"changed": changed}, text)
    return OK


def show_all(arguments: argparse.Namespace) -> int:
    """List who may come in, and when they were last here."""
    settings, known = Settings.load(), records.load()
    live = wireguard.look(settings)
    problem = wireguard.problem(settings, known, live)
    rows = [row(one, live.contacts.get(one.key) if live else None) for one in known]
    data = {"in_force": not problem, "problem": problem, "address": settings.address, "peers": rows}
    answer(arguments, data, human(rows, problem))
    return CRITICAL if problem else OK


def row(peer: Peer, contact: wireguard.Contact | None) -> dict[str, object]:
    """Return one line of the list."""
    return {
        "name": peer.name,
        "address": peer.address,
        "key": peer.key,
        "handshake": contact.handshake if contact and contact.handshake else None,
        "received": contact.received if contact else 0,
        "sent": contact.sent if contact else 0,
        "endpoint": contact.endpoint if contact else "",
    }


def human(rows: Sequence[dict], problem: str) -> str:
    """Return the list for the terminal."""
    told = [
        f"{one['name']:<31}{one['address']:<17}"
        f"{ago(time.time() - one['handshake']) if one['handshake'] else 'not since the start':<21}"
        f"{one['received'] / 1e6:>9.1f}{one['sent'] / 1e6:>9.1f}  {one['endpoint']}".rstrip()
        for one in rows
    ]
    head = f"{'device':<31}{'address':<17}{'last handshake':<21}{'MB in':>9}{'MB out':>9}  from"
    text = [head, *told] if told else ["nobody may come in by the VPN; luckygas vpn add NAME"]
    return "\n".join([f"NOT in force: {problem}; luckygas vpn apply"] * bool(problem) + text)


def keep(settings: Settings, former: Sequence[Peer], wanted: Sequence[Peer], *, start: bool = False) -> bool:
    """Write who may come in and put it in force; where that fails, the list is as it was. Returns whether it was new.

    `start`: begin the VPN where it should run and does not.
    """
    check(settings, former)
    wanted = records.settled(wanted, settings)
    if wanted != former:
        records.save(wanted)
    try:
        return wireguard.apply(settings, wanted, start=start)
    except FailedError as problem:
        records.save(former)
        raise FailedError(f"{problem}. The list of devices is as it was before") from None


def check(settings: Settings, known: Sequence[Peer]) -> None:
    """Refuse what the playbook wants of the machine's own end, where that would lead nowhere or lock everybody out."""
    if other := wireguard.overlaps(settings):
        raise RefusedError(
            f"wireguard_network: {other}, and so the machine would not know where {settings.network} is; name another "
            "one in the inventory's wiring"
        )
    live = wireguard.look(settings)
    if known and live and not wireguard.has_interface(live, settings) and is_vpn_only():
        raise RefusedError(
            "SSH is open to the VPN alone, and with another key, port or network none of its devices would find this "
            "machine. Set site_ssh to public or admin-nets and run the playbook; then give every device its new "
            "configuration, and set it back"
        )


def is_vpn_only() -> bool:
    """Tell whether the VPN is the only way to SSH."""
    return rules.CONFIRMED.exists() and rules.Settings.load().ssh == "vpn-only"


def seen(settings: Settings, peers: Sequence[Peer]) -> bool:
    """Tell whether one of them has come in since the machine started."""
    live = wireguard.look(settings)
    return live is not None and any(one.key in live.contacts and live.contacts[one.key].handshake for one in peers)


def lend(peer: Peer, text: str) -> None:
    """Keep a configuration with its private key for an hour at most."""
    forget(peer)
    CONFIGURATIONS.mkdir(mode=0o700, exist_ok=True)
    file = CONFIGURATIONS / peer.name
    write_file(file, text, mode=0o600, durable=False)
    timer = ["systemd-run", "--quiet", "--collect", f"--unit={unit(peer)}", f"--on-active={KEPT_SECONDS}s"]
    if run([*timer, "rm", "--force", file], timeout=wireguard.TIMEOUT_SECONDS).returncode:
        file.unlink()


def forget(peer: Peer) -> None:
    """Remove what was kept."""
    run(["systemctl", "stop", f"{unit(peer)}.timer"], timeout=wireguard.TIMEOUT_SECONDS)
    (CONFIGURATIONS / peer.name).unlink(missing_ok=True)


def unit(peer: Peer) -> str:
    """Return the name of the units that remove a configuration."""
    return f"luckygas-vpn-forget-{peer.name}"


def tell(arguments: argparse.Namespace, peer: Peer, text: str) -> int:
    """Print a device's configuration, or draw it."""
    data = {"name": peer.name, "address": peer.address, "key": peer.key, "configuration": text}
    answer(arguments, data, wireguard.drawing(text) if arguments.qr else text.rstrip("\n"))
    return OK
