"""What may be asked: to block an address for some time, or to lift that; and who is never blocked."""

import ipaddress
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from appliance.output import RefusedError

LONGEST_SECONDS = 30 * 86400
LONGEST_REASON = 200
PREFIX = {4: 32, 6: 64}  # a customer of a provider has one address of IPv4, or a whole /64
DISCARD_PORT = 9


@dataclass(frozen=True)
class Request:
    """Block this network for so many seconds; 0 lifts that."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    seconds: int
    reason: str = ""

    @classmethod
    def make(cls, address: object, seconds: object, reason: object = "") -> Self:
        """Check what was asked; whatever is wrong says what it is."""
        try:
            found = ipaddress.ip_address(address if isinstance(address, str) else "")
        except ValueError:
            raise RefusedError(f"{address!r} is no address; write it like 203.0.113.7 or 2001:db8::7") from None
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= LONGEST_SECONDS:
            raise RefusedError(f"{seconds!r} is no number of seconds between 0 and {LONGEST_SECONDS}")
        if not isinstance(reason, str):
            raise RefusedError(f"the reason {reason!r} is no text")
        if isinstance(found, ipaddress.IPv6Address):
            if found.scope_id:
                raise RefusedError(f"{address!r} is on this machine's own link")
            found = found.ipv4_mapped or found
        network = ipaddress.ip_network((found, PREFIX[found.version]), strict=False)
        words = "".join(letter if letter.isprintable() else "?" for letter in reason[:LONGEST_REASON])
        return cls(network, seconds, words)

    @classmethod
    def parse(cls, datagram: bytes) -> Self:
        """Read a datagram: one object of JSON."""
        try:
            told = json.loads(datagram)
        except (ValueError, RecursionError):
            raise RefusedError("not JSON") from None
        if not isinstance(told, dict) or not {"address", "seconds"} <= set(told) <= {"address", "seconds", "reason"}:
            raise RefusedError("not an object with address, seconds and perhaps reason")
        return cls.make(told["address"], told["seconds"], told.get("reason", ""))

    def check(self, unblockable: Iterable[str]) -> Self:
        """Refuse to block whom nobody may block."""
        address = self.network.network_address
        if self.seconds == 0:
            return self
        if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
            raise RefusedError(f"{self.network} is nobody's who comes from outside")
        for network in map(ipaddress.ip_network, unblockable):
            if network.version == self.network.version and network.overlaps(self.network):
                raise RefusedError(f"{self.network} belongs to {network}, which is never blocked")
        if is_own(str(address)):
            raise RefusedError(f"{self.network} is this machine's own")
        return self

    def __str__(self) -> str:
        """Say whom it is about, and why."""
        done = f"blocked for {self.seconds} s" if self.seconds else "no longer blocked"
        return f"{self.network} {done}" + (f": {self.reason}" if self.reason else "")


def is_own(address: str) -> bool:
    """Tell whether an address is one of this machine: it would come from itself to itself. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, DISCARD_PORT))
        except OSError:
            return False
        return probe.getsockname()[0] == address
