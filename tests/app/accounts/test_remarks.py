from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from factories import make_key
from luckygas.accounts import remarks, service
from luckygas.accounts.models import KeyNetwork, KeyUse
from luckygas.resources import Resources
from test_metrics import seen

TODAY = date(2026, 5, 20)
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


@pytest.fixture
def key_id(session: Session) -> str:
    """Return a key that was used just now."""
    key_id = make_key(session).id
    row = service.get_key(session, key_id=key_id)
    row.created_at, row.expires_at, row.last_used_at = NOW - timedelta(days=60), NOW + timedelta(days=60), NOW
    session.flush()
    return key_id


def use(session: Session, key_id: str, days: dict[int, tuple[int, int]]) -> None:
    for ago, (requests, refused) in days.items():
        day = TODAY - timedelta(days=ago)
        session.add(KeyUse(key_id=key_id, day=day, requests=requests, refused=refused))
    session.flush()


def come_from(session: Session, key_id: str, **days_ago: int) -> None:
    for network, ago in days_ago.items():
        first = NOW - timedelta(days=ago)
        session.add(KeyNetwork(key_id=key_id, network=network, first_at=first, last_at=NOW))
    session.flush()


def remarked(session: Session) -> list[str]:
    return [remark.what for remark in remarks.unusual(session, now=NOW, today=TODAY)]


USUAL = dict.fromkeys(range(1, 8), (100, 2))


@pytest.mark.parametrize(
    ("days", "what"),
    [
        ({0: (1001, 0), **USUAL}, ["volume"]),
        ({0: (999, 0), **USUAL}, []),
        ({0: (499, 0), 1: (1, 0), 2: (1, 0), 3: (1, 0)}, []),
        ({0: (5000, 0), 1: (1, 0), 2: (1, 0)}, []),
        ({0: (100, 51), **USUAL}, ["refused"]),
        ({0: (100, 49), **USUAL}, []),
        ({0: (49, 49), **USUAL}, []),
        ({0: (100, 90), 1: (100, 50), 2: (100, 50), 3: (100, 50)}, []),
        ({0: (2000, 1500), **USUAL}, ["volume", "refused"]),
        (USUAL, []),
    ],
)
def test_much_more_than_on_other_days_is_unusual(
    session: Session, key_id: str, days: dict[int, tuple[int, int]], what: list[str]
) -> None:
    use(session, key_id, days)
    assert remarked(session) == what


@pytest.mark.parametrize(
    ("networks", "what"),
    [
        ({"home": 30, "elsewhere": 0}, ["network"]),
        ({"home": 30, "elsewhere": 0, "nowhere": 0}, ["network"]),
        ({"home": 30, "elsewhere": 2}, []),
        ({"home": 5, "elsewhere": 0}, []),
        ({"elsewhere": 0}, []),
    ],
)
def test_a_new_network_is_unusual_for_a_day_once_a_key_has_a_home(
    session: Session, key_id: str, networks: dict[str, int], what: list[str]
) -> None:
    come_from(session, key_id, **networks)
    assert remarked(session) == what


def test_nothing_is_unusual_about_a_key_that_was_revoked(session: Session, key_id: str) -> None:
    use(session, key_id, {0: (1001, 0), **USUAL})
    service.revoke_key(session, key_id=key_id, now=NOW)
    session.flush()
    assert remarked(session) == []


@pytest.mark.parametrize(
    ("days", "is_told"),
    [((29, 0, 60), True), ((31, 0, 60), False), ((29, 8, 60), False), ((5, 0, 1), False), ((-1, 0, 60), False)],
)
def test_a_key_in_use_is_told_of_before_it_ends(
    session: Session, key_id: str, days: tuple[int, int, int], *, is_told: bool
) -> None:
    row = service.get_key(session, key_id=key_id)
    ends_in, used_ago, made_ago = days
    row.expires_at, row.created_at = NOW + timedelta(days=ends_in), NOW - timedelta(days=made_ago)
    row.last_used_at = NOW - timedelta(days=used_ago)
    session.flush()
    assert [ending.id for ending in remarks.ending(session, now=NOW)] == ([key_id] if is_told else [])


@pytest.mark.parametrize(("used_ago", "is_told"), [(0, True), (2, False)])
def test_a_key_with_a_successor_is_told_of_while_it_is_still_used(
    session: Session, key_id: str, used_ago: int, *, is_told: bool
) -> None:
    service.get_key(session, key_id=make_key(session).id).replaces = key_id
    row = service.get_key(session, key_id=key_id)
    row.expires_at, row.last_used_at = NOW + timedelta(days=5), NOW - timedelta(days=used_ago)
    session.flush()
    assert [ending.id for ending in remarks.ending(session, now=NOW)] == ([key_id] if is_told else [])


def test_prometheus_is_told(app: Flask, session: Session, key_id: str) -> None:
    now = datetime.now(UTC)
    row = service.get_key(session, key_id=key_id)
    row.last_used_at, row.expires_at = now, now + timedelta(days=3)
    session.add(KeyNetwork(key_id=key_id, network="home", first_at=now - timedelta(days=30), last_at=now))
    session.add(KeyNetwork(key_id=key_id, network="elsewhere", first_at=now, last_at=now))
    session.commit()
    found = seen(Resources.of(app))
    assert found[f"luckygas_key_expires_timestamp_seconds {key_id} {row.name}"] == row.expires_at.timestamp()
    assert found[f"luckygas_key_unusual {key_id} {row.name} network"] == 1
