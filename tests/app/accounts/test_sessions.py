from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.orm import Session

from factories import make_person
from luckygas.access import Role
from luckygas.accounts import sessions
from luckygas.accounts.models import WebSession
from luckygas.errors import Unauthenticated
from luckygas.resources import Resources
from luckygas.volatile import Volatile
from statements import asked

NOW = datetime.now(UTC)


@pytest.fixture
def volatile(app: Flask) -> Volatile:
    return Resources.of(app).volatile


@pytest.fixture
def redis(app: Flask) -> Redis:
    redis = Resources.of(app).redis
    redis.delete(*redis.scan_iter("lg:session:*"), "lg:none")
    return redis


def start(session: Session, role: Role = Role.DISPATCHER) -> str:
    person = make_person(session, role=role)
    return sessions.start(session, person=person, agent=None, address=None, now=NOW)


def is_good(session: Session, volatile: Volatile, token: str, *, after: timedelta = timedelta()) -> bool:
    try:
        sessions.authenticate(lambda: session, volatile=volatile, token=token, now=NOW + after)
    except Unauthenticated:
        return False
    return True


def test_a_session_says_who_is_there(session: Session, volatile: Volatile, redis: Redis) -> None:
    token = start(session, Role.ADMIN)
    for _ in range(2):
        principal = sessions.authenticate(lambda: session, volatile=volatile, token=token, now=NOW)
        assert (principal.id, principal.role) == (f"person:{principal.person_id}", Role.ADMIN)
    assert not is_good(session, volatile, "nonsense")


def test_a_known_session_costs_no_question_to_the_database(session: Session, volatile: Volatile, redis: Redis) -> None:
    token = start(session)
    assert is_good(session, volatile, token)
    with asked(session.bind.engine) as seen:
        assert is_good(session, volatile, token)
    assert seen == []
    (key,) = redis.scan_iter("lg:session:*")
    assert 0 < redis.ttl(key) <= sessions.REMEMBERED_SECONDS


@pytest.mark.parametrize("role", [Role.ADMIN, Role.DRIVER])
def test_a_session_ends_when_it_is_not_used_and_in_any_case_some_day(session: Session, role: Role) -> None:
    lifetime, nowhere = sessions.LIFETIMES[role], Volatile(Redis(port=1, retry=Retry(NoBackoff(), 0)))
    token = start(session, role)
    assert is_good(session, nowhere, token, after=lifetime.idle - timedelta(seconds=1))
    session.expire_all()
    assert not is_good(session, nowhere, token, after=2 * lifetime.idle)
    used, step = timedelta(), lifetime.idle - timedelta(minutes=1)
    token = start(session, role)
    while used + step < lifetime.absolute:
        used += step
        assert is_good(session, nowhere, token, after=used), "use prolongs it"
        session.expire_all()
    assert not is_good(session, nowhere, token, after=lifetime.absolute)


def test_an_end_counts_at_once_and_nobody_who_read_it_before_brings_it_back(
    session: Session, volatile: Volatile, redis: Redis
) -> None:
    token = start(session)
    assert is_good(session, volatile, token)
    (key,) = redis.scan_iter("lg:session:*")
    remembered = redis.get(key)
    assert sessions.end(session, volatile=volatile, token=token) == 1
    session.commit()
    assert not is_good(session, volatile, token)
    assert redis.set(key, remembered, nx=True) is None, "the note of the end is in its place"
    assert redis.ttl(key) > sessions.REMEMBERED_SECONDS


def test_an_end_that_is_rolled_back_is_none(session: Session, volatile: Volatile, redis: Redis) -> None:
    token = start(session)
    session.commit()
    sessions.end(session, volatile=volatile, token=token)
    session.rollback()
    assert is_good(session, volatile, token)


def test_all_sessions_of_a_person_end_together(session: Session, volatile: Volatile, redis: Redis) -> None:
    person = make_person(session)
    tokens = [sessions.start(session, person=person, agent=None, address=None, now=NOW) for _ in range(3)]
    other = start(session)
    assert all(is_good(session, volatile, token) for token in tokens)
    assert len(sessions.of_person(session, person_id=person.id, now=NOW)) == 3
    assert sessions.end_all(session, volatile=volatile, person_id=person.id) == 3
    session.commit()
    assert not any(is_good(session, volatile, token) for token in tokens)
    assert is_good(session, volatile, other)


def test_without_redis_sessions_are_read_from_the_database(session: Session) -> None:
    nowhere = Volatile(Redis(port=1, retry=Retry(NoBackoff(), 0)))
    token = start(session)
    assert is_good(session, nowhere, token)
    sessions.end(session, volatile=nowhere, token=token)
    session.commit()
    assert not is_good(session, nowhere, token)


def test_sessions_that_are_over_are_forgotten(session: Session) -> None:
    old = start(session)
    row = session.get_one(WebSession, sessions._identify(old))  # noqa: SLF001
    row.expires_at = NOW - timedelta(seconds=1)
    session.flush()
    start(session)
    session.expunge_all()
    assert session.get(WebSession, sessions._identify(old)) is None  # noqa: SLF001
