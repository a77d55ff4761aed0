"""Whose key was seen is known for a few seconds, and then read again together with all others of whom that is so."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask, g
from sqlalchemy.orm import Session

from factories import make_key
from luckygas.access import Principal, Role
from luckygas.accounts.callers import KNOWN_SECONDS, Callers
from luckygas.accounts.models import ApiKey
from luckygas.errors import Unauthenticated
from luckygas.resources import Resources
from statements import asked

Ask = Callable[[str], Principal]


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def go_on(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("luckygas.accounts.callers.time.monotonic", clock)
    return clock


@pytest.fixture
def ask(app: Flask, session: Session, clock: Clock) -> Iterator[Ask]:
    callers = Callers()
    with app.test_request_context():
        g.request_id = "tests"
        yield lambda key: callers.by_key(lambda: session, key, fresh=False)


@pytest.fixture
def questions(app: Flask) -> Iterator[list]:
    """Return what the database was asked, as it goes on."""
    with asked(Resources.of(app).engine) as seen:
        yield seen


def test_many_keys_are_read_again_by_one_statement(session: Session, ask: Ask, clock: Clock, questions: list) -> None:
    keys = [make_key(session).reveal() for _ in range(20)]
    session.commit()
    first = [ask(key) for key in keys]
    questions.clear()
    clock.go_on(KNOWN_SECONDS - 0.1)
    assert [ask(key) for key in keys] == first
    assert questions == []
    clock.go_on(0.2)
    assert [ask(key) for key in keys] == first
    assert len(questions) == 1


def test_who_was_not_seen_since_is_not_read_with_the_others(
    session: Session, ask: Ask, clock: Clock, questions: list
) -> None:
    busy, quiet = (make_key(session).reveal() for _ in range(2))
    session.commit()
    ask(busy), ask(quiet)
    for _ in range(3):
        clock.go_on(KNOWN_SECONDS + 0.1)
        ask(busy)
    questions.clear()
    ask(quiet)
    assert len(questions) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expires_at": timedelta(days=-1)}, "expired"),
        ({"revoked_at": timedelta(days=-1)}, "revoked"),
        ({"secret_mac": bytes(32)}, "not known"),
    ],
)
def test_what_was_known_is_forgotten_in_time(
    session: Session, ask: Ask, clock: Clock, change: dict[str, object], said: str
) -> None:
    key, other = make_key(session), make_key(session)
    session.commit()
    ask(key.reveal()), ask(other.reveal())
    row = session.get_one(ApiKey, key.id)
    for column, value in change.items():
        setattr(row, column, row.created_at + value if isinstance(value, timedelta) else value)
    session.commit()
    assert ask(key.reveal())
    clock.go_on(KNOWN_SECONDS + 0.1)
    assert ask(other.reveal())  # it is read with this one
    with pytest.raises(Unauthenticated, match=said):
        ask(key.reveal())


def test_another_role_is_seen_when_it_is_read_again(session: Session, ask: Ask, clock: Clock) -> None:
    key = make_key(session, role=Role.ADMIN)
    session.commit()
    assert ask(key.reveal()).role == Role.ADMIN
    session.get_one(ApiKey, key.id).role = Role.DRIVER
    session.commit()
    clock.go_on(KNOWN_SECONDS + 0.1)
    assert ask(key.reveal()).role == Role.DRIVER
