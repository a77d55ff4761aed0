"""Adding up costs what a day brought, and carrying forward changes no sum."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from factories import TODAY, make_driver
from luckygas.ledger import jobs, service, sums
from luckygas.ledger.models import Account, EntryKind
from luckygas.resources import Resources
from plans import pages_read
from waiting import eventually

PAST = text("""
WITH entry AS (
    INSERT INTO ledger_entries (day, kind, by)
    SELECT :day, 'payment', 'tests' FROM generate_series(1, :count) RETURNING id
)
INSERT INTO ledger_lines (entry_id, position, account, driver_id, amount_twd)
SELECT id, position, account, driver_id, amount_twd FROM entry CROSS JOIN LATERAL (
    VALUES (1, 'driver_cash', CAST(:driver AS bigint), 7), (2, 'unassigned', NULL, -7)
) AS line (position, account, driver_id, amount_twd)
""")


def take(session: Session, driver_id: int, amount_twd: int, *, day=TODAY) -> service.Entry:
    lines = [
        service.Line.cash(amount_twd, driver_id=driver_id),
        service.Line.debt(-amount_twd, customer_id=None),
    ]
    booking = service.Booking(kind=EntryKind.PAYMENT, day=day, by="tests", driver_id=driver_id, lines=lines)
    return service.post(session, booking=booking)


def carry(session: Session) -> int | None:
    up_to = sums.newest_entry(session)
    if up_to is not None:
        sums.carry(session, up_to=up_to)
    return up_to


def test_what_was_carried_forward_and_what_came_since_is_all_there_is(session: Session) -> None:
    ling, ming = make_driver(session).id, make_driver(session).id
    take(session, ling, 500)
    assert carry(session) is not None
    assert carry(session) is None
    take(session, ming, 80)
    take(session, ling, -200)
    for _ in "before", "after":
        assert service.balances(session)[Account.DRIVER_CASH] == 380
        assert service.balances(session)[Account.UNASSIGNED] == -380
        assert service.held_by_driver(session, driver_id=ling) == 300
        assert service.held_by_driver(session, driver_id=ming) == 80
        carry(session)
    assert service.held_by_driver(session, driver_id=make_driver(session).id) == 0


def test_the_cash_at_the_end_of_a_day_is_without_what_came_later(session: Session) -> None:
    ling, ming = make_driver(session).id, make_driver(session).id
    take(session, ling, 500, day=TODAY - timedelta(days=1))
    take(session, ling, -500)
    take(session, ming, 80)
    carry(session)
    assert sums.cash_left(session, day=TODAY - timedelta(days=2)) == {}
    assert sums.cash_left(session, day=TODAY - timedelta(days=1)) == {ling: 500}
    assert sums.cash_left(session, day=TODAY) == {ming: 80}


def test_nothing_is_added_to_what_was_carried_forward(session: Session) -> None:
    entry = take(session, make_driver(session).id, 500)
    carry(session)
    with pytest.raises(IntegrityError, match="was carried forward as it is"), session.begin_nested():
        session.connection().execute(
            text("INSERT INTO ledger_lines (entry_id, position, account, amount_twd) VALUES (:id, 5, 'bank', 1), "
                 "(:id, 6, 'till', -1)"), {"id": entry.id},
        )  # fmt: skip


def test_who_is_booking_is_waited_for(committing_app: Flask) -> None:
    resources = Resources.of(committing_app)
    found: list[int | None] = []

    def look() -> None:
        with resources.sessions.begin() as session:
            found.append(sums.newest_entry(session))

    with resources.sessions.begin() as booking:
        entry_id = take(booking, make_driver(booking).id, 500).id
        looker = threading.Thread(target=look)
        looker.start()
        with resources.sessions() as session:
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            eventually(lambda: session.scalar(waiting), "the wait of who adds up")
        assert found == []
    looker.join(60)
    assert found == [entry_id]


def test_the_job_carries_forward_and_an_older_one_that_comes_late_does_nothing(app: Flask, session: Session) -> None:
    first = take(session, make_driver(session).id, 500).id
    jobs.carry(session, Resources.of(app))
    wanted = text("SELECT args ->> 'entry_id' FROM procrastinate_jobs WHERE task_name = 'ledger.carry_up_to'")
    assert session.scalars(wanted).all() == [str(first)]
    second = take(session, make_driver(session).id, 500).id
    for entry_id in (second, first):
        jobs.carry_up_to(session, Resources.of(app), entry_id=entry_id)
    jobs.carry(session, Resources.of(app))
    assert len(session.scalars(wanted).all()) == 1
    assert service.balances(session)[Account.DRIVER_CASH] == 1000


def test_adding_up_looks_at_no_more_when_the_books_are_long(committing_app: Flask) -> None:
    resources = Resources.of(committing_app)
    with resources.sessions.begin() as session:
        driver_id = make_driver(session).id

    def pages(past: int) -> int:
        with resources.sessions.begin() as session:
            values = {"day": TODAY - timedelta(days=90), "count": past, "driver": driver_id}
            session.connection().execute(PAST, values)
            carry(session)
            for _ in range(30):
                take(session, driver_id, 10)

        def ask() -> None:
            service.balances(session)
            service.held_by_driver(session, driver_id=driver_id)
            sums.cash_left(session, day=TODAY)

        with resources.sessions() as session:
            return pages_read(session, ask, tables="ledger_entries, ledger_lines, ledger_carried")

    few = pages(600)
    assert pages(9_000) <= few + 10
