"""How much a caller has left: counted in Redis for all processes together, in one round trip at most.

A window begins with its first request and ends after its seconds. Its counter lives exactly as long, and the moment of
its end is its name: what was taken from one window is never given back to another.

Who may ask often takes some tokens at a time, a lease, while plenty are left; near the limit every request is counted
by itself. What of a lease is not used within two seconds is given back; a process that is killed has used all of it.
While Redis is away, each process allows its share of the limit, and what it allowed is counted when Redis is back.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from luckygas.volatile import Script, Volatile
from luckygas.web.windows import Charge, Verdict, verdict

LEASE_SECONDS: Final = 2

_KEY: Final = "lg:quota:{}:{}"
_PLENTY: Final = 16
"""A lease is given while so many of them are left, or other processes could go without."""
_MOST_SUBJECTS: Final = 10_000

_SCRIPT: Final = Script(Path(__file__).with_name("quota.lua").read_text(encoding="utf-8"))


@dataclass(slots=True)
class Lease:
    """Tokens that are counted already: `left` of them, of the windows that end then and then."""

    charges: Sequence[Charge]
    left: int
    good_until: float
    counts: Sequence[int]
    ends: Sequence[int]
    ends_here: Sequence[float]


@dataclass(slots=True)
class Uncounted:
    """What this process allowed in a window while Redis was away."""

    tokens: int
    ends_here: float


class Quota:
    """Decides for one process, in step with all others."""

    def __init__(self, volatile: Volatile, *, processes: int) -> None:
        """Begin knowing nothing; there are `processes` like this one."""
        self._volatile = volatile
        self._processes = processes
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._uncounted: dict[tuple[str, str], Uncounted] = {}
        self._returner: threading.Thread | None = None

    def take(self, subject: str, charges: Sequence[Charge], *, lease: int = 0) -> Verdict:
        """Take what a request costs from all its windows, or from none if one has too little.

        With a `lease`, all charges must cost the same.
        """
        old = None
        if lease:
            now = time.monotonic()
            with self._lock:
                old = self._leases.get(subject)
                if old is not None and now < old.good_until and charges[0].cost <= old.left:
                    old.left -= charges[0].cost
                    return _leased(old, charges, now)
                self._leases.pop(subject, None)
        return self._ask(subject, charges, lease, old)

    def return_leases(self, *, all_of_them: bool = True) -> int:
        """Give back what is left of leases, or of those alone that are over; return how many stay."""
        now = time.monotonic()
        with self._lock:
            over = {subject: held for subject, held in self._leases.items() if all_of_them or now >= held.good_until}
            for subject in over:
                del self._leases[subject]
            stay = len(self._leases)
        for subject, held in over.items():
            self._ask(subject, [Charge(window, 0) for window, _ in held.charges], 0, held)
        return stay

    def _ask(self, subject: str, charges: Sequence[Charge], lease: int, old: Lease | None) -> Verdict:
        uncounted = self._pop_uncounted(subject, charges)
        debts = [held.tokens if held else 0 for held in uncounted]
        arguments: list[Any] = [lease, _PLENTY]
        for place, ((_, limit, seconds), cost) in enumerate(charges):
            back, end = (old.left, old.ends[place]) if old is not None and old.left else (0, 0)
            arguments += (limit, seconds * 1000, cost, debts[place], back, end)
        keys = [_KEY.format(subject, charge.window.name) for charge in charges]
        answer = self._volatile.ask(lambda redis: _SCRIPT.run(redis, keys, arguments), otherwise=None)
        if answer is None:
            return self._decide_alone(subject, charges, uncounted)
        allowed, leased, *rest = answer
        counts, ends, seconds = rest[::3], rest[1::3], [left / 1000 for left in rest[2::3]]
        if leased:
            now = time.monotonic()
            ends_here = [now + left for left in seconds]
            self._keep(subject, Lease(charges, leased, min(now + LEASE_SECONDS, *ends_here), counts, ends, ends_here))
        return verdict(charges, counts, seconds, allowed=bool(allowed), unused=leased)

    def _keep(self, subject: str, new: Lease) -> None:
        with self._lock:
            other = self._leases.get(subject)
            if other is not None and other.ends == new.ends:  # taken by two threads at the same time
                new.left += other.left
            self._leases[subject] = new
            if self._returner is None:
                self._returner = threading.Thread(target=self._return_on, name="leases", daemon=True)
                self._returner.start()

    def _return_on(self) -> None:
        """Give back leases that are over, until there are none."""
        pause = threading.Event()
        while True:
            pause.wait(LEASE_SECONDS / 4)
            self.return_leases(all_of_them=False)
            with self._lock:
                if not self._leases:
                    self._returner = None
                    return

    def _decide_alone(self, subject: str, charges: Sequence[Charge], uncounted: Sequence[Uncounted | None]) -> Verdict:
        """Decide without Redis, by this process's share of each limit."""
        now = time.monotonic()
        with self._lock:
            if len(self._uncounted) > _MOST_SUBJECTS:
                self._uncounted = {name: held for name, held in self._uncounted.items() if held.ends_here > now}
            held = []
            for charge, popped in zip(charges, uncounted, strict=True):
                name = subject, charge.window.name
                found = self._uncounted.get(name)
                if found is None or found.ends_here <= now:
                    found = self._uncounted[name] = popped or Uncounted(0, now + charge.window.seconds)
                elif popped is not None:
                    found.tokens += popped.tokens
                held.append(found)
            shares = [_share(charge, self._processes) for charge in charges]
            allowed = all(
                each.tokens + share.cost <= share.window.limit for each, share in zip(held, shares, strict=True)
            )
            if allowed:
                for each, charge in zip(held, charges, strict=True):
                    each.tokens += charge.cost
            counts = [each.tokens for each in held]
        return verdict(shares, counts, [each.ends_here - now for each in held], allowed=allowed)

    def _pop_uncounted(self, subject: str, charges: Sequence[Charge]) -> list[Uncounted | None]:
        if not self._uncounted:
            return [None] * len(charges)
        now = time.monotonic()
        with self._lock:
            popped = [self._uncounted.pop((subject, charge.window.name), None) for charge in charges]
        return [held if held is not None and held.ends_here > now else None for held in popped]


def _share(charge: Charge, processes: int) -> Charge:
    window = charge.window
    return Charge(window._replace(limit=max(charge.cost, window.limit // processes)), charge.cost)


def _leased(lease: Lease, charges: Sequence[Charge], now: float) -> Verdict:
    seconds = [end - now for end in lease.ends_here]
    return verdict(charges, lease.counts, seconds, allowed=True, unused=lease.left)
