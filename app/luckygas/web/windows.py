"""Windows of time with a limit each, what a request takes from them, and how that ended."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple


class Window(NamedTuple):
    """At most `limit` tokens in `seconds`, under a name that is in the headers and in Redis."""

    name: str
    limit: int
    seconds: int


class Charge(NamedTuple):
    """What one request takes from a window."""

    window: Window
    cost: int


class State(NamedTuple):
    """What a caller has left in a window, and after how many seconds it begins anew."""

    window: Window
    remaining: int
    seconds: int


class Verdict(NamedTuple):
    """Whether a request may go on."""

    allowed: bool
    states: Sequence[State]
    lacking: Sequence[State] = ()
    """Those windows that had too little left for it."""


def verdict(
    charges: Sequence[Charge], counts: Sequence[int], seconds: Sequence[float], *, allowed: bool, unused: int = 0
) -> Verdict:
    """Say how it ended, by what is counted of each window, `unused` of it, and the seconds until its end."""
    states = [
        State(window, max(0, window.limit - count + unused), ceil(left))
        for (window, _), count, left in zip(charges, counts, seconds, strict=True)
    ]
    lacking = [] if allowed else [s for s, (_, cost) in zip(states, charges, strict=True) if s.remaining < cost]
    return Verdict(allowed, states, lacking)
