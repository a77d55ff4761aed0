"""A sequence of stops without a map: addresses that begin alike lie near each other.

Taiwan's addresses go from the city down to the house number, so what two of them have in common at their beginning says
how near they are. It only has to keep a driver out of zigzags until the planner with the map answers.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

_ROUNDS: Final = 20


def plain(depot: str, stops: Sequence[str]) -> list[int]:
    """Return the indexes of these addresses in a short tour: to the nearest next, then without crossings."""
    places = [*stops, depot]
    start = len(stops)
    left = list(range(len(stops)))
    tour: list[int] = []
    while left:
        here = tour[-1] if tour else start
        nearest = min(left, key=lambda stop: (distance(places[here], places[stop]), places[stop], stop))
        left.remove(nearest)
        tour.append(nearest)
    return _without_crossings(places, tour)


def distance(one: str, other: str) -> float:
    """Return how far apart two addresses are, from 0 for the same to 1 for nothing in common."""
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return 0.0 if one == other else 1 / (1 + common)


def _without_crossings(places: Sequence[str], tour: list[int]) -> list[int]:
    """Turn pieces of the tour around as long as that shortens it (2-opt)."""
    whole = [len(places) - 1, *tour, len(places) - 1]

    def gap(one: int, other: int) -> float:
        return distance(places[whole[one]], places[whole[other]])

    for _ in range(_ROUNDS):
        improved = False
        for first in range(1, len(whole) - 2):
            for last in range(first + 1, len(whole) - 1):
                before = gap(first - 1, first) + gap(last, last + 1)
                after = gap(first - 1, last) + gap(first, last + 1)
                if after < before - 1e-9:
                    whole[first : last + 1] = reversed(whole[first : last + 1])
                    improved = True
        if not improved:
            break
    return whole[1:-1]
