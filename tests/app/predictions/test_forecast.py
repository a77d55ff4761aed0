"""How good the forecast is, against the two naive ways, on a company that does not exist.

What is learned is learned from the days before the first that is predicted, and the company knows nothing of how.
"""

import random
from datetime import date, timedelta
from itertools import pairwise

import pytest

from luckygas.demo.demand import KINDS, SHARES, Demand, usual_of
from luckygas.predictions import forecast
from luckygas.predictions.service import DEFAULT_DAYS

START, SPLIT, END = date(2023, 4, 1), date(2025, 4, 1), date(2026, 3, 31)
SPARSE = 3
HOME = forecast.Season(forecast.FLAT, START.toordinal(), END.toordinal())


@pytest.fixture(scope="module")
def company() -> list[tuple[str, list[tuple[int, int]]]]:
    """Return each customer's kind and orders over three years."""
    rng = random.Random(20260401)  # noqa: S311
    demand = Demand(first=START, days=(END - START).days + 1, rng=rng)
    customers = []
    for _ in range(1200):
        kind = rng.choices(range(len(KINDS)), SHARES)[0]
        demand.add(kind, usual_of(kind, rng))
        customers.append((KINDS[kind].value, []))
    for day, orders in demand.days():
        for number, kg, quantity in orders:
            customers[number][1].append((day.toordinal(), kg * quantity))
    return customers


@pytest.fixture(scope="module")
def learned(company) -> dict[str, forecast.Kind]:
    split = SPLIT.toordinal()
    return {
        kind: forecast.learn(
            [[order for order in orders if order[0] < split] for found, orders in company if found == kind],
            default_days=days,
        )
        for kind, days in DEFAULT_DAYS.items()
    }


def errors_of(company, learned, *, sparse: bool) -> dict[str, list[tuple[int, int, int]]]:
    """Return by how many days the forecast, the last and the mean interval were off, for each order of a year."""
    split = SPLIT.toordinal()
    until = (END + timedelta(days=1500)).toordinal()
    seasons = {kind: forecast.Season(of.factors, START.toordinal(), until) for kind, of in learned.items()}
    errors = {kind: [] for kind in learned}
    for kind, orders in company:
        for known in range(2, min(len(orders), SPARSE + 1) if sparse else len(orders)):
            day, past = orders[known][0], orders[:known]
            if day < split:
                continue
            ours = forecast.predict(past, seasons[kind], usual_days=learned[kind].usual_days)
            naive = (forecast.by_last_interval(past), forecast.by_mean_interval(past))
            errors[kind].append(tuple(abs(predicted - day) for predicted in (ours, *naive)))
    return errors


@pytest.mark.parametrize("sparse", [False, True], ids=["all", "first orders"])
def test_the_forecast_is_better_than_both_naive_ways(company, learned, sparse, capsys) -> None:
    errors = errors_of(company, learned, sparse=sparse)
    errors["all"] = [error for of_kind in errors.values() for error in of_kind]
    with capsys.disabled():
        print(f"\nmean error in days{', customers with two or three orders' if sparse else ''}")  # noqa: T201
        print(f"{'':12}{'orders':>8}{'forecast':>10}{'last interval':>15}{'mean interval':>15}")  # noqa: T201
        for kind, of_kind in errors.items():
            ours, last, mean = (sum(column) / len(of_kind) for column in zip(*of_kind, strict=True))
            print(f"{kind:12}{len(of_kind):8,}{ours:10.2f}{last:15.2f}{mean:15.2f}")  # noqa: T201
            if not sparse or kind == "all":
                assert ours < 0.85 * min(last, mean), kind
    assert len(errors["all"]) > (100 if sparse else 5000)


def test_the_season_is_learned_where_there_is_one(learned) -> None:
    january, july = (forecast.period(date(2026, month, 20).toordinal()) for month in (1, 7))
    assert learned["household"].factors[january] > 1.5 * learned["household"].factors[july]
    assert learned["restaurant"].factors[january] < 1.4 * learned["restaurant"].factors[july]
    assert all(sum(of.factors) == pytest.approx(forecast.PERIODS) for of in learned.values())


def test_what_is_known_of_a_kind_begins_with_its_default() -> None:
    nothing = forecast.learn([], default_days=60)
    assert (nothing.factors, nothing.usual_days) == (forecast.FLAT, 60)
    little = forecast.learn([[(700_000, 20), (700_010, 20)]], default_days=60)
    assert 50 < little.usual_days < 60


def history(*intervals: int, kg: int = 20) -> list[tuple[int, int]]:
    day = START.toordinal()
    orders = [(day, kg)]
    for interval in intervals:
        day += interval
        orders.append((day, kg))
    return orders


def days_ahead(orders: list[tuple[int, int]], *, usual_days: float = 60) -> int:
    return forecast.predict(orders, HOME, usual_days=usual_days) - orders[-1][0]


def test_after_one_order_the_habit_of_the_kind_is_all_there_is() -> None:
    assert days_ahead(history()) == 60


def test_each_order_moves_the_forecast_from_the_kind_to_the_customer() -> None:
    ahead = [days_ahead(history(*[20] * count)) for count in range(5)]
    assert all(before > after for before, after in pairwise(ahead))
    assert 20 <= ahead[-1] <= 24


def test_one_interval_that_is_far_off_says_little() -> None:
    usual = days_ahead(history(*[20] * 8))
    assert abs(days_ahead(history(*[20] * 4, 90, *[20] * 3)) - usual) <= 2


def test_twice_the_gas_lasts_twice_as_long() -> None:
    orders = history(*[20] * 8)
    once, twice = days_ahead(orders), days_ahead([*orders[:-1], (orders[-1][0], 40)])
    assert abs(twice - 2 * once) <= 1


def test_a_forecast_is_never_before_the_day_after_the_order_nor_beyond_what_is_known() -> None:
    assert days_ahead(history(1, 1, 1), usual_days=0.001) == 1
    assert forecast.predict(history(), HOME, usual_days=10**6) == END.toordinal()
