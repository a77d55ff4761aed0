"""WireGuard: its configuration, what it has in force, and how the one becomes the other without a lost packet."""

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.output import FailedError
from appliance.system import run, write_file
from appliance.vpn.peers import Peer, Settings

DIRECTORY = Path("/etc/wireguard")
TIMEOUT_SECONDS = 30
# A peer that sends greets anew after two minutes, and is not heard any more after three.
CONNECTED_SECONDS = 180
KEEP_ALIVE_SECONDS = 25


@dataclass(frozen=True)
class Contact:
    """What WireGuard knows of a peer."""

    addresses: str
    endpoint: str
    handshake: float  # in seconds since the epoch; 0 is none since the machine started
    received: int
    sent: int


@dataclass(frozen=True)
class Live:
    """What is in force."""

    key: str
    port: int
    addresses: tuple[str, ...]
    contacts: Mapping[str, Contact]

    @classmethod
    def parse(cls, dump: str, addresses: Iterable[str]) -> Self:
        """Read what `wg show INTERFACE dump` prints."""
        (_, key, port, _), *rows = [line.split("\t") for line in dump.splitlines()]
        contacts = {
            row[0]: Contact(row[3], "" if row[2] == "(none)" else row[2], float(row[4]), int(row[5]), int(row[6]))
            for row in rows
        }
        return cls(key, int(port), tuple(addresses), contacts)


def file_of(settings: Settings) -> Path:
    """Return where the machine's configuration is."""
    return DIRECTORY / f"{settings.interface}.conf"


def look(settings: Settings) -> Live | None:
    """Return what is in force; None while there is no such interface."""
    told = run(["wg", "show", settings.interface, "dump"], timeout=TIMEOUT_SECONDS)
    return None if told.returncode else Live.parse(told.stdout, addresses().get(settings.interface, ()))


def addresses() -> dict[str, list[str]]:
    """Return the addresses of this machine by their interfaces, as 10.66.0.1/24."""
    told = json.loads(run(["ip", "-json", "-4", "address"], timeout=TIMEOUT_SECONDS).stdout or "[]")
    return {one["ifname"]: [f"{row['local']}/{row['prefixlen']}" for row in one["addr_info"]] for one in told}


def overlaps(settings: Settings) -> str:
    """Return who else on this machine has an address in the VPN's network, or nothing."""
    for name, own in addresses().items():
        for address in own if name != settings.interface else ():
            if ipaddress.IPv4Interface(address).network.overlaps(settings.network):
                return f"{name} has {address}"
    return ""


def connected(live: Live, now: float) -> list[str]:
    """Return the keys of those who are here."""
    return [key for key, one in live.contacts.items() if now - one.handshake < CONNECTED_SECONDS]


def has_interface(live: Live, settings: Settings) -> bool:
    """Tell whether the machine's own end is as it should be."""
    wanted = public_key(settings.private_key), settings.port, (f"{settings.address}/{settings.network.prefixlen}",)
    return (live.key, live.port, live.addresses) == wanted


def problem(settings: Settings, peers: Sequence[Peer], live: Live | None) -> str:
    """Return in what way that which is in force differs from what should be, or nothing."""
    if live is None:
        return f"{settings.interface} is not there"
    if not has_interface(live, settings):
        return f"{settings.interface} has another key, port or address than it should"
    if strangers := set(live.contacts) - {one.key for one in peers}:
        return f"{len(strangers)} may come in whom nobody added"
    lost = [one.name for one in peers if getattr(live.contacts.get(one.key), "addresses", "") != f"{one.address}/32"]
    return f"{', '.join(lost)} cannot come in" if lost else ""


def apply(settings: Settings, peers: Sequence[Peer], *, start: bool = False) -> bool:
    """Bring a VPN that runs to what should be, or write down what it is to start with; returns whether that was new.

    The others notice nothing of a reload. A restart, which another key, port or address needs, costs them some seconds.
    `start`: begin it where it should run and does not.
    """
    file, text = file_of(settings), configuration(settings, peers)
    former = file.read_text() if file.exists() else None
    if former != text:
        write_file(file, text, mode=0o600)
    live = look(settings)
    is_active = has_state(settings, "active")
    if not (is_active or (start and has_state(settings, "enabled"))) or not problem(settings, peers, live):
        return former != text
    act = "reload" if is_active and live and has_interface(live, settings) else "restart"
    if not (wrong := order(settings, act) or problem(settings, peers, look(settings))):
        return True
    told = f"systemctl {act} {settings.unit}: {wrong}; journalctl -u {settings.unit}"
    if former not in {None, text}:
        write_file(file, former, mode=0o600)
        # A restart stops it first: without another one there would be no VPN at all.
        again = order(settings, act)
        told += f". With its former file it does not run either: {again}" if again else ". It runs by its former file"
    raise FailedError(told)


def order(settings: Settings, act: str) -> str:
    """Have systemd do something with the VPN; returns what it complained of, or nothing."""
    done = run(["systemctl", act, settings.unit], timeout=TIMEOUT_SECONDS)
    return (done.stderr.strip() or f"ended with {done.returncode}") if done.returncode else ""


def has_state(settings: Settings, state: str) -> bool:
    """Tell whether systemd says that the VPN is active, or enabled."""
    return not run(["systemctl", f"is-{state}", "--quiet", settings.unit], timeout=TIMEOUT_SECONDS).returncode


def configuration(settings: Settings, peers: Iterable[Peer]) -> str:
    """Return the machine's file."""
    lines = [
        "# Written by `luckygas vpn`, which reads who may come in from /etc/luckygas/vpn_peers.json.",
        "[Interface]",
        f"PrivateKey = {settings.private_key}",
        f"Address = {settings.address}/{settings.network.prefixlen}",
        f"ListenPort = {settings.port}",
    ]
    for one in peers:
        lines += ["", f"# {one.name}", "[Peer]", f"PublicKey = {one.key}", f"AllowedIPs = {one.address}/32"]
    return "\n".join(lines) + "\n"


def client_configuration(settings: Settings, peer: Peer, private_key: str | None) -> str:
    """Return the file of a peer's device, as every program for WireGuard takes it. It reaches this machine alone."""
    own = f"PrivateKey = {private_key}" if private_key else "# PrivateKey = the one that this device made"
    lines = [
        f"# {peer.name}, on the VPN of {settings.endpoint}",
        "[Interface]",
        own,
        f"Address = {peer.address}/32",
        "",
        "[Peer]",
        f"PublicKey = {public_key(settings.private_key)}",
        f"Endpoint = {settings.endpoint}:{settings.port}",
        f"AllowedIPs = {settings.address}/32",
        f"PersistentKeepalive = {KEEP_ALIVE_SECONDS}",
    ]
    return "\n".join(lines) + "\n"


def new_key() -> str:
    """Return a new private key."""
    return ask(["wg", "genkey"])


def public_key(private_key: str) -> str:
    """Return the public key to a private one."""
    return ask(["wg", "pubkey"], private_key)


def drawing(text: str) -> str:
    """Return a text as a code for cameras."""
    return ask(["qrencode", "--type=ANSIUTF8"], text)


def ask(command: Sequence[str], text: str = "") -> str:
    """Return what a command makes of a text, which no argument shows to others."""
    done = run(command, timeout=TIMEOUT_SECONDS, told=text)
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip("\n")
