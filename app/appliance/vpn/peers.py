"""Who may come in by the VPN: records that the operator makes on the machine, and that no playbook touches."""

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from appliance.output import RefusedError
from appliance.system import write_file

FILE = Path("/etc/luckygas/vpn.json")
# In /etc, which every night's configuration takes along.
PEERS = Path("/etc/luckygas/vpn_peers.json")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
# 32 bytes in base64: the last letter has two bits to spare, which are zero.
KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
NO_KEY = "A" * 43 + "="


@dataclass(frozen=True)
class Settings:
    """The machine's own end."""

    interface: str
    network: ipaddress.IPv4Network
    port: int
    endpoint: str  # under which its peers find it
    private_key: str = field(repr=False)

    @classmethod
    def load(cls) -> Self:
        """Read the file that Ansible (role wireguard) writes."""
        if not FILE.exists():
            raise RefusedError("there is no VPN on this machine yet; run the playbook")
        told = json.loads(FILE.read_text())
        try:
            network = ipaddress.IPv4Network(told["network"])
        except ValueError as problem:
            raise RefusedError(f"wireguard_network: {problem}; name a network like 10.66.0.0/24") from None
        return cls(told["interface"], network, told["port"], told["endpoint"], told["private_key"])

    @property
    def address(self) -> str:
        """The machine's address, the first of the network."""
        return str(self.network.network_address + 1)

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"wg-quick@{self.interface}.service"


@dataclass(frozen=True)
class Peer:
    """Somebody's device. Its address is its own as long as it may come in, whoever else comes and goes."""

    name: str
    address: str
    key: str  # public; the private one is on the device


def load() -> list[Peer]:
    """Read who may come in."""
    return [Peer(**one) for one in json.loads(PEERS.read_text())] if PEERS.exists() else []


def save(peers: Iterable[Peer]) -> None:
    """Write who may come in."""
    write_file(PEERS, json.dumps([asdict(one) for one in peers], indent=2) + "\n", mode=0o600)


def named(peers: Sequence[Peer], name: str) -> Peer:
    """Return the peer of that name."""
    for one in peers:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in peers) or "nobody"
    raise RefusedError(f"there is no peer {name!r}; there is {known}")


def check_name(peers: Iterable[Peer], name: str) -> str:
    """Refuse a name that cannot be, or is taken."""
    if not NAME.fullmatch(name):
        raise RefusedError(
            f"{name!r} is no name: up to 30 small letters, digits and hyphens, like anna-laptop, one for each device"
        )
    if any(one.name == name for one in peers):
        raise RefusedError(
            f"{name} is taken; another device takes another name. To replace a lost one: luckygas vpn revoke {name}, "
            "then add it anew"
        )
    return name


def check_key(peers: Iterable[Peer], key: str, own: str) -> str:
    """Refuse what is no public key, or is somebody's already: WireGuard would take the address from the former."""
    if not KEY.fullmatch(key) or key == NO_KEY:
        raise RefusedError(f"{key!r} is no public key: 44 letters that end with =, as `wg pubkey` prints them")
    if key == own:
        raise RefusedError("that is this machine's own key; the device has one of its own")
    for one in peers:
        if one.key == key:
            raise RefusedError(f"{one.name} has that key already; each device makes one of its own")
    return key


def check_address(peers: Iterable[Peer], address: str, settings: Settings) -> str:
    """Refuse an address that cannot be, or is taken."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        raise RefusedError(f"{address!r} is no address of IPv4, like {settings.network.network_address + 2}") from None
    network = settings.network
    if found not in network or found in {network.network_address, network.broadcast_address}:
        raise RefusedError(f"{found} is no address of a peer in {network}")
    if str(found) == settings.address:
        raise RefusedError(f"{found} is this machine's own")
    for one in peers:
        if one.address == str(found):
            raise RefusedError(f"{found} is {one.name}'s; say no address, and a free one is taken")
    return str(found)


def free_address(peers: Iterable[Peer], settings: Settings) -> str:
    """Return the first address that nobody has."""
    taken = {settings.address, *(one.address for one in peers)}
    for address in settings.network.hosts():
        if str(address) not in taken:
            return str(address)
    raise RefusedError(
        f"all {settings.network.num_addresses - 3} addresses of {settings.network} are taken; revoke who needs theirs "
        "no longer: luckygas vpn list says who was here"
    )


def settled(peers: Sequence[Peer], settings: Settings) -> list[Peer]:
    """Return them with addresses of the network, which may have become another one."""
    there = [one for one in peers if ipaddress.IPv4Address(one.address) in settings.network]
    found: list[Peer] = []
    for one in peers:
        found.append(one if one in there else replace(one, address=free_address([*there, *found], settings)))
    return found
