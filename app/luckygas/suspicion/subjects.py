"""Whom the limits count and the blocks stop: an address, a key, a person or an outside company."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

_IPV6_NETWORK_BITS: Final = 64  # what one customer of a provider has
_ADDRESS: Final = "address:"
_NAMED: Final = re.compile(r"key:[0-9a-z]{8}|person:[0-9]{1,19}|partner:[a-z]{1,20}")

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=1024)
def network_of(address: str | None) -> str | None:
    """Return whose address it is: an IPv4 address, or an IPv6 network. None is this machine itself."""
    if not address:
        return None
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    if parsed.is_loopback:
        return None
    if parsed.version == 4:  # noqa: PLR2004 - the protocol's own number
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))


def subject_at(network: str) -> str:
    """Return the subject that everybody at `network` is who shows neither key nor session."""
    return _ADDRESS + network


def network_in(subject: str) -> str | None:
    """Return the network that `subject` stands for, or None: it is a key or a person."""
    return subject.removeprefix(_ADDRESS) if subject.startswith(_ADDRESS) else None


def parse(text: str) -> str:
    """Return whom an operator means by an address, `key:ID`, `person:ID` or `partner:NAME`, or raise `ValueError`."""
    if _NAMED.fullmatch(text):
        return text
    try:
        network = network_of(text.removeprefix(_ADDRESS).removesuffix(f"/{_IPV6_NETWORK_BITS}"))
    except ValueError:
        raise ValueError(f"{text} is none: write an address, key:ID, person:ID or partner:NAME") from None
    if network is None:
        raise ValueError(f"{text} is this machine itself, which is never stopped")
    return subject_at(network)


@dataclass(frozen=True, slots=True)
class Trusted:
    """Those whom nothing is held against, by configuration."""

    networks: Sequence[Network] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read networks, `key:ID`, `person:ID` and `partner:NAME`, with blanks between, or raise `ValueError`."""
        names = {word for word in text.split() if _NAMED.fullmatch(word)}
        networks: list[Network] = []
        for word in text.split():
            if word in names:
                continue
            try:
                networks.append(ipaddress.ip_network(word))
            except ValueError:
                raise ValueError(
                    f"{word} is no network such as 203.0.113.0/24, no key:ID, no person:ID and no partner:NAME"
                ) from None
        return cls(tuple(networks), frozenset(names))

    def __contains__(self, subject: str) -> bool:
        """Tell whether `subject` is one of them."""
        if subject in self.names:
            return True
        network = network_in(subject) if self.networks else None
        if network is None:
            return False
        theirs = ipaddress.ip_network(network)
        return any(theirs.version == each.version and theirs.subnet_of(each) for each in self.networks)
