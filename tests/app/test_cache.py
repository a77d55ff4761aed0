import itertools
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_cylinder, make_driver
from luckygas.cache import SETTLED_SECONDS, Cache
from luckygas.db.base import Base
from luckygas.resources import Resources


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass, and none but that, however slow the machine is."""
    began = time.time()
    passed = [0.0]
    monkeypatch.setattr(time, "time", lambda: began + passed[0])

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait


@pytest.fixture
def count(app: Flask, session: Session, later: Callable[[float], None]) -> Callable[[], int]:
    """Remember how often something was computed, a while after the last change."""
    computed = itertools.count(1)
    make_cylinder(session)
    session.commit()
    later(SETTLED_SECONDS)
    return lambda: Resources.of(app).cache.remember("tests", of="cylinders", compute=lambda: next(computed))


def test_what_did_not_change_is_computed_once(count: Callable[[], int]) -> None:
    assert [count() for _ in range(3)] == [1, 1, 1]


def test_a_change_makes_it_forget_and_another_table_does_not(
    count: Callable[[], int], session: Session, later: Callable[[float], None]
) -> None:
    assert count() == 1
    make_driver(session)
    session.commit()
    assert count() == 1
    make_cylinder(session)
    session.flush()
    assert count() == 1
    session.commit()
    later(SETTLED_SECONDS)
    assert [count(), count()] == [2, 2]


def test_what_is_rolled_back_changes_nothing(count: Callable[[], int], session: Session) -> None:
    count()
    make_cylinder(session)
    session.rollback()
    assert count() == 1


def test_right_after_a_change_nothing_is_kept_since_a_standby_may_not_know_of_it(
    count: Callable[[], int], session: Session
) -> None:
    make_cylinder(session)
    session.commit()
    assert [count(), count()] == [1, 2]


def test_what_was_computed_before_a_change_is_not_taken_for_what_is_after_it(
    app: Flask, count: Callable[[], int], session: Session, later: Callable[[float], None]
) -> None:
    def changes_meanwhile() -> str:
        make_cylinder(session)
        session.commit()
        return "old"

    cache = Resources.of(app).cache
    assert cache.remember("tests", of="cylinders", compute=changes_meanwhile) == "old"
    later(SETTLED_SECONDS)
    assert count() == 1


def test_without_redis_everything_is_computed(app_with: Callable[..., Flask], app: Flask, closed_port: int) -> None:
    away = app_with(redis_url=f"redis://luckygas_app@127.0.0.1:{closed_port}/0")
    computed = itertools.count(1)
    cache: Cache = Resources.of(away).cache
    assert [cache.remember("tests", of="cylinders", compute=lambda: next(computed)) for _ in range(2)] == [1, 2]


def test_a_table_of_which_nobody_tells_is_refused(app: Flask) -> None:
    assert "drivers" in Base.metadata.tables
    with pytest.raises(ValueError, match="DEPENDED_ON"):
        Resources.of(app).cache.remember("tests", of="drivers", compute=dict)


def test_the_stock_is_right_after_every_change(
    client: FlaskClient, session: Session, later: Callable[[float], None]
) -> None:
    def total() -> int:
        return client.get("/api/v1/cylinders/stock").json["total"]

    before = total()
    for more in range(1, 4):
        make_cylinder(session)
        session.commit()
        assert total() == before + more
        later(SETTLED_SECONDS)
        assert [total(), total()] == [before + more] * 2
