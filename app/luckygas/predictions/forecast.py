"""When a customer orders next, from when and how much they ordered before: numbers in, numbers out.

What one order held lasts until the next one. How long, for the amount that the customer usually takes and with the
season taken out, is what stays the same about a customer; of their last orders the newer ones say more about it, one
that is far off says little, and the customer's kind counts as half an order, which is all that there is after the
first one. Days are ordinals (`date.toordinal`), amounts kilograms of gas.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, pairwise
from statistics import median
from typing import Final

RECENT_ORDERS: Final = 16
PERIODS: Final = 24
"""Halves of months, of each of which a season says how much is burnt: 1 is the average of a year."""
FLAT: Final = (1.0,) * PERIODS

type History = Sequence[tuple[int, int]]
"""The orders of a customer as (day, kg), the oldest first, one a day at most."""

_DECAY: Final = 0.85
_KIND_COUNTS: Final = 0.5
_WIDTH_IN_DEVIATIONS: Final = 2.5 * 1.4826  # the factor makes a median deviation comparable with a standard one
_LEAST_WIDTH: Final = 0.15
_FEWEST_TO_CLIP: Final = 3

_ROUNDS: Final = 3
_LEAST_DAYS: Final = 300
_LEAST_ORDERS: Final = 4
_FLAT_DAYS: Final = 2000
_FURTHEST_RATE: Final = 2.5
_DEFAULT_COUNTS: Final = 20


class Season:
    """How much a kind of customers burns over the days from `first` to before `last`."""

    def __init__(self, factors: Sequence[float], first: int, last: int) -> None:
        """Add up the factor of each period for each day."""
        self.first, self.last = first, last
        self._burnt = [0.0, *accumulate(factors[period(day)] for day in range(first, last))]

    def between(self, start: int, end: int) -> float:
        """Return the average days that are as long as those from `start` to before `end`."""
        return self._burnt[end - self.first] - self._burnt[start - self.first]

    def after(self, start: int, average_days: float) -> int:
        """Return the day by which so many average days have gone by since `start`, or the last that is known."""
        wanted = self._burnt[start - self.first] + average_days
        end = min(bisect_left(self._burnt, wanted), len(self._burnt) - 1)
        # The nearest: the one before may be less too early than this one is too late.
        if end > 0 and wanted - self._burnt[end - 1] < self._burnt[end] - wanted:
            end -= 1
        return max(self.first + end, start + 1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What was learned about customers of a kind."""

    factors: Sequence[float]
    usual_days: float
    """Average days that a usual order lasts, for half of them longer."""
    intervals: int
    """What that was learned from."""


def period(day: int) -> int:
    """Return the half of a month in which a day is, from 0 on."""
    found = date.fromordinal(day)
    return 2 * (found.month - 1) + (found.day > 15)  # noqa: PLR2004


def learn(histories: Iterable[History], *, default_days: float) -> Kind:
    """Return what customers of one kind have in common; the fewer there are, the closer to no season and the default.

    The season is refined in rounds: with the one of the round before, what was burnt between two orders is spread over
    the days in between, and each period gets what was burnt in it against what each customer burns on average.
    """
    histories = [history for history in histories if len(history) > 1]
    if not histories:
        return Kind(FLAT, default_days, 0)
    first, last = min(history[0][0] for history in histories), max(history[-1][0] for history in histories) + 1
    long = [h for h in histories if len(h) >= _LEAST_ORDERS and h[-1][0] - h[0][0] >= _LEAST_DAYS]
    factors: Sequence[float] = FLAT
    for _ in range(_ROUNDS):
        factors = _refined(factors, long, Season(factors, first, last))
    season = Season(factors, first, last)
    lasting = [lasts for history in histories for lasts in _lasting(history[-RECENT_ORDERS:], season)]
    count = len(lasting)
    usual = (count * median(lasting) + _DEFAULT_COUNTS * math.log(default_days)) / (count + _DEFAULT_COUNTS)
    return Kind(factors, math.exp(usual), count)


def predict(history: History, season: Season, *, usual_days: float) -> int:
    """Return the day of the next order of a customer of a kind whose usual order lasts `usual_days` average days."""
    history = history[-RECENT_ORDERS:]
    lasting = _lasting(history, season)
    if len(lasting) >= _FEWEST_TO_CLIP:
        middle = median(lasting)
        width = max(_WIDTH_IN_DEVIATIONS * median(abs(lasts - middle) for lasts in lasting), _LEAST_WIDTH)
        lasting = [min(max(lasts, middle - width), middle + width) for lasts in lasting]
    total, weights = _KIND_COUNTS * math.log(usual_days), _KIND_COUNTS
    for age, lasts in enumerate(reversed(lasting)):
        total += _DECAY**age * lasts
        weights += _DECAY**age
    day, kg = history[-1]
    return season.after(day, math.exp(total / weights) * kg / _usual_kg(history))


def by_last_interval(history: History) -> int | None:
    """Return the day that is as far away as the one before: what predictions are held against."""
    return 2 * history[-1][0] - history[-2][0] if len(history) > 1 else None


def by_mean_interval(history: History) -> int | None:
    """Return the day after the mean of all intervals: what predictions are held against, too."""
    if len(history) < 2:  # noqa: PLR2004
        return None
    return history[-1][0] + round((history[-1][0] - history[0][0]) / (len(history) - 1))


def _usual_kg(history: History) -> float:
    return median(kg for _, kg in history)


def _lasting(history: History, season: Season) -> list[float]:
    """Return the logarithm of how many average days a usual order lasted, for each order but the newest."""
    usual_kg = _usual_kg(history)
    return [math.log(season.between(day, following) * usual_kg / kg) for (day, kg), (following, _) in pairwise(history)]


def _refined(factors: Sequence[float], histories: Iterable[History], season: Season) -> Sequence[float]:
    # What all of them burn together is kept as its changes, so that a day is looked at once and not for each of them.
    rates, customers = ([0.0] * (season.last - season.first) for _ in range(2))
    for history in histories:
        begins, ends = history[0][0], history[-1][0]
        a_day = sum(kg for _, kg in history[:-1]) / season.between(begins, ends)
        customers[begins - season.first] += 1
        customers[ends - season.first] -= 1
        for (start, kg), (end, _) in pairwise(history):
            rate = kg / season.between(start, end) / a_day
            rate = min(max(rate, 1 / _FURTHEST_RATE), _FURTHEST_RATE)
            rates[start - season.first] += rate
            rates[end - season.first] -= rate
    burnt, days = [float(_FLAT_DAYS)] * PERIODS, [float(_FLAT_DAYS)] * PERIODS
    for day, rate, count in zip(
        range(season.first, season.last), accumulate(rates), accumulate(customers), strict=True
    ):
        at = period(day)
        burnt[at] += rate * factors[at]
        days[at] += count
    refined = [amount / count for amount, count in zip(burnt, days, strict=True)]
    mean = sum(refined) / PERIODS
    return [factor / mean for factor in refined]
