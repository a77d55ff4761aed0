"""When customers order: each burns gas at a pace of their own, with the season, and orders when a cylinder is empty.

What is kept of a customer is some thirty bytes, and of an order nothing, so that any number of orders streams by in
the order of their days. All chance comes from the one generator that is given.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from luckygas.customers.models import CustomerKind

KINDS: Final = tuple(CustomerKind)
SHARES: Final = (70, 15, 15)
"""Of a hundred customers, how many are of each of `KINDS`."""

NEW_YEAR: Final = tuple(
    date.fromisoformat(day)
    for day in (
        "2015-02-19 2016-02-08 2017-01-28 2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22 2024-02-10 "
        "2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03 2031-01-23 2032-02-11 2033-01-31 2034-02-19 "
        "2035-02-08 2036-01-28 2037-02-15 2038-02-04 2039-01-24 2040-02-12"
    ).split()
)
"""The first days of the lunar years."""
HOLIDAYS: Final = range(-1, 4)
"""Days from the first of the lunar year on which nobody orders: from its eve to the third."""
FIRST_DAY, LAST_DAY = date(2015, 3, 1), date(2040, 1, 31)
"""Between which the years are known."""


@dataclass(frozen=True, slots=True)
class _Habit:
    """What customers of a kind have in common."""

    days: float  # that a usual order lasts, for half of them longer
    spread: float  # between customers, of the logarithm
    noise: float  # from order to order, of the logarithm
    winter: float  # how much more is burnt in January than on average
    before_new_year: float
    at_new_year: float
    usual: tuple[tuple[int, int, int], ...]  # (cylinder_kg, quantity, weight)


_HABITS: Final = (
    _Habit(58, 0.38, 0.17, 0.36, 1.15, 1.4, ((20, 1, 55), (16, 1, 30), (20, 2, 10), (10, 1, 5))),
    _Habit(24, 0.40, 0.20, 0.14, 1.20, 0.6, ((20, 1, 50), (20, 2, 30), (16, 2, 10), (50, 1, 10))),
    _Habit(7, 0.32, 0.16, 0.08, 1.35, 0.3, ((20, 2, 45), (20, 4, 25), (50, 1, 20), (50, 2, 10))),
)
_COLDEST: Final = 20  # of January
_FEAST_DAYS: Final = 14
_STOCKS_UP_LATE: Final = 9
_SUNDAY: Final = 6


@dataclass(frozen=True, slots=True)
class Usual:
    """What a customer usually takes."""

    cylinder_kg: int
    quantity: int


def usual_of(kind: int, rng: Random) -> Usual:
    """Return what a customer of the kind with this index may usually take."""
    choices = _HABITS[kind].usual
    kg, quantity, _ = choices[rng.choices(range(len(choices)), [weight for *_, weight in choices])[0]]
    return Usual(kg, quantity)


class Demand:
    """The demand of all customers over some days, the first of them `first`."""

    def __init__(self, *, first: date, days: int, rng: Random) -> None:
        """Prepare an empty company. Raises `ValueError` for days of which the calendar is not known."""
        last = first + timedelta(days=days - 1)
        if not FIRST_DAY <= first <= last <= LAST_DAY:
            raise ValueError(f"{first} to {last} is not within {FIRST_DAY} to {LAST_DAY}: choose other days")
        self._first, self._days, self._rng = first, days, rng
        # Gas burnt since the first day by somebody of each kind who burns one unit on an average day.
        self._burnt = [array("d", [0.0, *accumulate(_seasons(habit, first, days))]) for habit in _HABITS]
        self._closed = frozenset(
            day for year in NEW_YEAR for step in HOLIDAYS if 0 <= (day := (year - first).days + step) < days
        )
        self._due = [array("L") for _ in range(days)]
        self._kind, self._kg, self._quantity = array("B"), array("B"), array("B")
        self._pace = array("f")
        self._leaves = array("l")

    def add(self, kind: int, usual: Usual) -> int:
        """Let a customer of the kind with this index begin to burn gas; return which one it is, from 0 on."""
        rng, habit = self._rng, _HABITS[kind]
        number, kg = len(self._kind), usual.cylinder_kg * usual.quantity
        lasts = min(max(habit.days * math.exp(rng.gauss(0, habit.spread)), 2), 400)
        # A fifth came while the days went by, and every twelfth leaves within a year.
        joins = rng.randrange(self._days) if rng.random() < 0.2 else 0
        self._kind.append(kind)
        self._kg.append(usual.cylinder_kg)
        self._quantity.append(usual.quantity)
        self._pace.append(kg / lasts)
        self._leaves.append(int(joins + rng.expovariate(1 / (12 * 365))))
        begins = self._opened(joins + int(rng.random() * lasts))
        if begins < self._days:
            self._due[begins].append(number)
        return number

    def days(self) -> Iterator[tuple[date, list[tuple[int, int, int]]]]:
        """Yield each day with its orders as (customer, cylinder_kg, quantity); to be asked for once."""
        for day in range(self._days):
            orders = []
            for number in self._due[day]:
                if day >= self._leaves[number]:
                    continue
                quantity = self._quantity[number]
                if self._rng.random() < 0.12:
                    quantity += 1
                orders.append((number, self._kg[number], quantity))
                following = self._following(number, day, quantity)
                if following < self._days:
                    self._due[following].append(number)
            self._due[day] = array("L")
            self._rng.shuffle(orders)
            yield self._first + timedelta(days=day), orders

    def _following(self, number: int, day: int, quantity: int) -> int:
        """Return the day on which the customer orders again."""
        rng, kind = self._rng, self._kind[number]
        need = self._kg[number] * quantity * math.exp(rng.gauss(0, _HABITS[kind].noise))
        chance = rng.random()
        if chance < 0.025:  # went to somebody else once
            need *= rng.uniform(1.5, 2.1)
        elif chance < 0.032:  # a child, a second stove, fewer guests: another pace from now on
            self._pace[number] *= math.exp(rng.gauss(0, 0.3))
        burnt = self._burnt[kind]
        following = max(bisect_left(burnt, burnt[day] + need / self._pace[number]), day + 1)
        return self._open(following, day, stocks_up=rng.random() < 0.6)

    def _open(self, following: int, day: int, *, stocks_up: bool) -> int:
        """Return a day near `following` on which somebody takes orders."""
        if stocks_up:
            # Nobody wants to be without gas over the holidays.
            for sooner in range(_STOCKS_UP_LATE):
                if following - sooner in self._closed:
                    before = following - sooner - 1 - self._rng.randrange(5)
                    while before in self._closed:
                        before -= 1
                    following = max(before, day + 1)
                    break
        elif (self._first + timedelta(days=following)).weekday() == _SUNDAY:
            following += 1
        return self._opened(following)

    def _opened(self, day: int) -> int:
        while day in self._closed:
            day += 1
        return day


def _seasons(habit: _Habit, first: date, days: int) -> Iterator[float]:
    """Yield how much is burnt on each day, 1 on average."""
    for step in range(days):
        day = first + timedelta(days=step)
        burnt = 1 + habit.winter * math.cos(2 * math.pi * (day.timetuple().tm_yday - _COLDEST) / 365.25)
        since = min(((day - year).days for year in NEW_YEAR), key=abs)
        if since in HOLIDAYS:
            burnt *= habit.at_new_year
        elif -_FEAST_DAYS <= since < 0:
            burnt *= habit.before_new_year
        yield burnt
