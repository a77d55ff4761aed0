"""The outside companies: a client for each, over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from redis import Redis

from luckygas.clients.banking import Banking
from luckygas.clients.breaker import Breaker, Memory
from luckygas.clients.einvoice import EInvoice
from luckygas.clients.google import GoogleRoutes
from luckygas.clients.http import Account, Partner, Refused
from luckygas.clients.sms import Sms

# How many failures in a row open the breaker, and for how many seconds.
BREAKERS: Final[Mapping[str, tuple[int, int]]] = {
    "google": (5, 60),
    "sms": (3, 120),
    "banking": (3, 180),
    "einvoice": (5, 120),
}


@dataclass(frozen=True, slots=True)
class Clients:
    """All of them; those without an account raise `NotConfigured` when they are used."""

    google: GoogleRoutes
    sms: Sms
    banking: Banking
    einvoice: EInvoice

    @classmethod
    def create(cls, accounts: Mapping[str, Account], redis: Redis) -> Self:
        """Prepare all clients; nothing is sent yet."""
        kinds: dict[str, type[Partner]] = {"google": GoogleRoutes, "sms": Sms, "banking": Banking, "einvoice": EInvoice}
        memory = Memory(redis)

        def breaker(name: str) -> Breaker:
            fail_max, reset_timeout = BREAKERS[name]
            return Breaker(name, memory, fail_max=fail_max, reset_timeout=reset_timeout, exclude=Refused)

        return cls(**{name: kind(accounts.get(name), breaker(name)) for name, kind in kinds.items()})

    def all(self) -> tuple[Partner, ...]:
        """Return each of them."""
        return self.google, self.sms, self.banking, self.einvoice
