import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from factories import PASSWORD, make_customer, make_driver, make_key, make_order, make_person
from luckygas.accounts import people
from luckygas.accounts.models import ApiKey
from luckygas.audit import recording
from luckygas.audit.actor import Actor
from luckygas.audit.tables import AuditEntry
from luckygas.customers import service as customers
from luckygas.customers.models import Customer, CustomerAddress
from luckygas.customers.schemas import CustomerIn
from luckygas.db.base import is_secret
from luckygas.drivers.models import Driver
from luckygas.ledger import service as ledger
from luckygas.ledger.bookings import Booking, Line
from luckygas.ledger.models import Account, EntryKind
from luckygas.models import Base
from luckygas.resources import Resources

SOUNDS_SECRET = re.compile(r"password|secret|token|hash|mac$|digest|pepper|pin$|credential")

SOUNDS_WORSE_THAN_IT_IS = {"must_change_password"}


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """Open a session of somebody in particular."""
    with Resources.of(app).sessions(info={recording.ACTOR: lambda: Actor("person:7", "192.0.2.7", "request-1")}) as it:
        yield it


def entries(session: Session, *entities: str) -> list[AuditEntry]:
    """Return what was logged about these kinds of things, the oldest first."""
    statement = select(AuditEntry).where(AuditEntry.entity.in_(entities)).order_by(AuditEntry.id)
    return list(session.scalars(statement))


def test_what_is_created_is_logged_with_who_and_from_where(session: Session) -> None:
    driver = make_driver(session)
    session.commit()
    (entry,) = entries(session, "drivers")
    assert (entry.actor, entry.origin, entry.request_id) == ("person:7", "192.0.2.7", "request-1")
    assert (entry.action, entry.entity_id) == ("created", str(driver.id))
    assert entry.changes["name"] == [None, driver.name]
    assert entry.changes["capacity_kg"] == [None, 1000]
    assert abs((datetime.now(UTC) - entry.at).total_seconds()) < 60


def test_a_change_has_what_was_before_and_only_what_differs(session: Session) -> None:
    driver = make_driver(session)
    session.commit()
    name, driver.name = driver.name, "林大哥"
    driver.capacity_kg = 1000  # as it was
    session.commit()
    assert entries(session, "drivers")[1].changes == {"name": [name, "林大哥"]}


def test_what_is_changed_twice_in_one_transaction_is_logged_twice(session: Session) -> None:
    driver = make_driver(session)
    session.commit()
    for kg in (900, 800):
        driver.capacity_kg = kg
        session.flush()
    session.commit()
    assert [entry.changes for entry in entries(session, "drivers")[1:]] == [
        {"capacity_kg": [1000, 900]},
        {"capacity_kg": [900, 800]},
    ]


def test_parts_that_come_and_go_with_their_whole_are_logged(session: Session) -> None:
    places = [{"label": "二店", "address": "臺北市大同區寧夏路 8 號"}]
    customer = make_customer(session, further_addresses=places)
    session.commit()
    body = {"kind": "shop", "name": "阿明", "mobile": "0912345678", "address": customer.address}
    change = CustomerIn.model_validate(body, strict=False)
    customers.change(session, customer_id=customer.id, customer=change, seen={1})
    session.commit()
    created, removed = entries(session, "customer_addresses")
    assert (created.action, removed.action) == ("created", "removed")
    assert created.entity_id == removed.entity_id == f"{customer.id}/1"
    assert removed.changes["address"] == [places[0]["address"], None]


def test_days_times_and_lists_can_be_read_in_the_log(session: Session) -> None:
    make_order(session, wanted_on=date(2026, 5, 2))
    key = make_key(session)
    session.get(ApiKey, key.id).scopes = ["orders:read"]
    session.commit()
    assert entries(session, "orders")[0].changes["wanted_on"] == [None, "2026-05-02"]
    created, changed = entries(session, "api_keys")
    assert datetime.fromisoformat(created.changes["expires_at"][1]).utcoffset().total_seconds() == 0
    assert changed.changes == {"scopes": [None, ["orders:read"]]}


def test_secrets_are_masked(session: Session) -> None:
    person = make_person(session)
    people.begin_totp(session, person_id=person.id, password=PASSWORD)
    key = make_key(session)
    session.commit()
    secrets = [person.password_hash, person.totp_secret, session.get(ApiKey, key.id).secret_mac.hex()]
    logged = "".join(str(entry.changes) for entry in entries(session, "people", "api_keys"))
    assert [secret for secret in secrets if secret in logged] == []
    assert entries(session, "people")[-1].changes == {"totp_secret": [None, recording.MASK]}


def test_what_was_rolled_back_never_happened(session: Session) -> None:
    make_driver(session)
    session.rollback()
    kept = make_driver(session)
    savepoint = session.begin_nested()
    make_driver(session)
    savepoint.rollback()
    with session.begin_nested():
        also_kept = make_driver(session)
    session.commit()
    assert [entry.entity_id for entry in entries(session, "drivers")] == [str(kept.id), str(also_kept.id)]


def test_a_statement_within_a_savepoint_that_is_kept_waits_for_the_commit(session: Session) -> None:
    with session.begin_nested():
        make_driver(session)
    assert entries(session, "drivers") == []
    session.rollback()
    session.commit()
    assert entries(session, "drivers") == []


def test_a_session_that_changes_nothing_logs_nothing(session: Session) -> None:
    session.scalars(select(Driver)).all()
    session.commit()
    assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


@pytest.mark.parametrize(
    "statement",
    [
        update(Customer).values(note="x"),
        delete(CustomerAddress),
        insert(Driver).values(name="x"),
        upsert(Driver).values(name="x").on_conflict_do_nothing(),
        Customer.__table__.update().values(note="x"),
        text("UPDATE customers SET note = 'x'"),
        text("WITH gone AS (DELETE FROM ONLY customer_addresses RETURNING 1) SELECT 1 FROM gone"),
    ],
    ids=str,
)
def test_a_statement_that_would_change_things_unseen_is_refused(session: Session, statement: object) -> None:
    with pytest.raises(recording.UnloggedChange, match="past the audit log"):
        session.execute(statement)


def test_a_statement_that_says_why_it_is_not_logged_runs(session: Session) -> None:
    customer = make_customer(session)
    session.execute(update(Customer).values(note="x"), execution_options={"unlogged": "the tests look"})
    assert customer.note == "x"


def test_rows_that_one_statement_stores_are_logged_beside_it(session: Session) -> None:
    customer = make_customer(session)
    booking = Booking(
        kind=EntryKind.PAYMENT,
        day=date(2026, 5, 1),
        by="tests",
        lines=[
            Line(account=Account.TILL, amount_twd=850),
            Line(account=Account.RECEIVABLE, amount_twd=-850, customer_id=customer.id),
        ],
    )
    entry = ledger.post(session, booking=booking)
    session.commit()
    till, receivable = entries(session, "ledger_lines")
    assert (till.entity_id, receivable.entity_id) == (f"{entry.id}/1", f"{entry.id}/2")
    assert till.changes["amount_twd"] == [None, 850]
    assert receivable.changes["customer_id"] == [None, customer.id]


def test_reading_for_a_change_is_no_change(session: Session) -> None:
    session.execute(text("SELECT id FROM customers FOR UPDATE SKIP LOCKED"))
    session.execute(text("DELETE FROM finished_jobs"))


@pytest.mark.parametrize("mapper", list(Base.registry.mappers), ids=lambda mapper: mapper.class_.__name__)
def test_a_model_is_logged_or_says_why_not_and_its_secrets_are_marked(mapper: object) -> None:
    reason = mapper.class_.__unlogged__
    assert reason is None or len(reason.split()) >= 3, "say in a few words why nobody wants to read about it"
    if reason is None:
        columns = [column for column in mapper.local_table.c if SOUNDS_SECRET.search(column.name)]
        unmarked = {column.name for column in columns if not is_secret(column)} - SOUNDS_WORSE_THAN_IT_IS
        assert unmarked == set(), "mark it: mapped_column(info=SECRET)"
