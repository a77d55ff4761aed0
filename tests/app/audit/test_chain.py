import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from factories import make_driver
from luckygas.audit import service
from luckygas.audit.chain import BrokenChain, Head, verify
from luckygas.audit.tables import AuditEntry, AuditLink
from luckygas.resources import Resources


@pytest.fixture
def grow(committing_app: Flask) -> Callable[[int], None]:
    """Commit some changes, each in a transaction of its own."""

    def commit(count: int) -> None:
        for _ in range(count):
            with Resources.of(committing_app).sessions.begin() as session:
                make_driver(session)

    return commit


@pytest.fixture
def forge(committing_app: Flask) -> Iterator[Callable[[str], None]]:
    """Run a statement as somebody whom neither rights nor triggers stop."""
    with Resources.of(committing_app).engine.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], dbname=name, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        yield superuser.execute


def check(app: Flask, known: tuple[Head, ...] = ()) -> list[Head]:
    with Resources.of(app).sessions() as session:
        return verify(session, known=known)


def test_an_empty_log_is_unbroken(committing_app: Flask) -> None:
    assert check(committing_app) == []


def test_every_entry_is_in_the_chain(committing_app: Flask, grow: Callable[[int], None]) -> None:
    grow(5)
    assert sum(head.position for head in check(committing_app)) == 5


def test_the_entries_of_one_transaction_are_in_one_strand_in_their_order(committing_app: Flask) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        for _ in range(20):
            make_driver(session)
    with Resources.of(committing_app).sessions() as session:
        links = session.scalars(select(AuditLink).order_by(AuditLink.position)).all()
        assert [link.entry_id for link in links] == sorted(link.entry_id for link in links)
        assert len({link.strand for link in links}) == 1


def test_many_at_once_leave_an_unbroken_chain(committing_app: Flask, grow: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(grow, [10] * 6))
    assert sum(head.position for head in check(committing_app)) == 60


def test_a_strand_that_is_taken_is_not_waited_for(committing_app: Flask, grow: Callable[[int], None]) -> None:
    sessions = Resources.of(committing_app).sessions
    with sessions() as slow:
        make_driver(slow)
        slow.flush()
        slow.execute(text("SELECT pg_advisory_xact_lock(1635083369, strand) FROM generate_series(0, 6) AS strand"))
        grow(2)
        (head,) = check(committing_app)
        assert (head.strand, head.position) == (7, 2)
        slow.commit()
    assert sum(head.position for head in check(committing_app)) == 3


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE audit_entries SET actor = 'nobody' WHERE id = SECOND", "its entry SECOND was changed"),
        (
            "UPDATE audit_entries SET at = at - interval '1 microsecond' WHERE id = SECOND",
            "its entry SECOND was changed",
        ),
        ("UPDATE audit_entries SET changes = '{}' WHERE id = SECOND", "its entry SECOND was changed"),
        ("DELETE FROM audit_entries WHERE id = SECOND", "its entry SECOND was removed"),
        ("DELETE FROM audit_links WHERE entry_id = SECOND", "link 2: it was removed"),
        ("UPDATE audit_links SET digest = sha256('') WHERE entry_id = SECOND", "its entry SECOND was changed"),
        (
            "INSERT INTO audit_entries (actor, action, entity, entity_id, changes) VALUES ('x', 'x', 'x', 'x', '{}')",
            "entry NEXT: no link leads to it",
        ),
    ],
)
def test_whatever_is_tampered_with_is_named(
    committing_app: Flask, forge: Callable[[str], None], statement: str, finding: str
) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        for _ in range(3):
            make_driver(session)
    with Resources.of(committing_app).sessions() as session:
        ids = session.scalars(select(AuditEntry.id).order_by(AuditEntry.id)).all()
    check(committing_app)
    forge(statement.replace("SECOND", str(ids[1])))
    with pytest.raises(BrokenChain) as broken:
        check(committing_app)
    assert str(broken.value).endswith(finding.replace("SECOND", str(ids[1])).replace("NEXT", str(ids[2] + 1)))


def test_an_end_that_was_cut_off_shows_against_what_was_known(
    committing_app: Flask, grow: Callable[[int], None], forge: Callable[[str], None]
) -> None:
    grow(1)
    known = tuple(check(committing_app))
    grow(1)
    check(committing_app, known)
    forge("DELETE FROM audit_entries")
    forge("DELETE FROM audit_links")
    assert check(committing_app) == []
    with pytest.raises(BrokenChain, match="was there before and was cut off"):
        check(committing_app, known)
    grow(20)
    with pytest.raises(BrokenChain, match=r"not the one that was there before|was cut off"):
        check(committing_app, known)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'nobody'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "INSERT INTO audit_links VALUES (0, 1, 1, '')",
        "UPDATE audit_links SET digest = ''",
        "DELETE FROM audit_links",
        "INSERT INTO audit_entries (id, at) OVERRIDING SYSTEM VALUE VALUES (1, now())",
        "SELECT audit_append()",
    ],
)
def test_the_service_itself_can_only_add(committing_app: Flask, statement: str) -> None:
    with (
        Resources.of(committing_app).engine.connect() as connection,
        pytest.raises(DBAPIError, match="permission denied"),
    ):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("table", ["audit_entries", "audit_links"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {} = {}"])
def test_not_even_the_owner_can_change_it(
    committing_app: Flask, forge: Callable[[str], None], table: str, statement: str
) -> None:
    assert committing_app
    forge("SET session_replication_role = origin")
    column = "actor" if table == "audit_entries" else "digest"
    with pytest.raises(psycopg.errors.RaiseException, match="the audit log only grows"):
        forge(statement.format(table, column, column))


def test_a_commit_that_fails_leaves_no_entry(committing_app: Flask) -> None:
    sessions = Resources.of(committing_app).sessions
    with sessions() as session:
        make_driver(session)
        session.execute(text("SELECT 1"))
        session.connection().exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        with sessions() as holder:
            holder.execute(
                text("SELECT pg_advisory_xact_lock(1635083369, strand) FROM generate_series(0, 7) AS strand")
            )
            with pytest.raises(DBAPIError, match="lock timeout"):
                session.commit()
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_each_night_it_is_held_against_where_it_ended_the_night_before(
    committing_app: Flask, grow: Callable[[int], None], forge: Callable[[str], None]
) -> None:
    def night() -> str | None:
        with Resources.of(committing_app).sessions.begin() as session:
            service.check(session)
        with Resources.of(committing_app).sessions() as session:
            return service.last_check(session).broken

    assert night() is None
    grow(3)
    assert night() is None
    with Resources.of(committing_app).sessions() as session:
        assert sum(Head.parse(line).position for line in service.last_check(session).heads) == 3
    # Nothing in the log itself tells that its end is missing.
    forge("DELETE FROM audit_entries WHERE id = (SELECT max(entry_id) FROM audit_links)")
    forge("DELETE FROM audit_links WHERE entry_id = (SELECT max(entry_id) FROM audit_links)")
    check(committing_app)
    assert "cut off" in night()
    assert "cut off" in night()
