import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from factories import make_customer, make_order
from luckygas.access import Role
from luckygas.billing import bank, closing
from luckygas.billing.models import Invoice, InvoiceStatus
from luckygas.billing.schemas_closings import CloseIn
from luckygas.clients import Clients
from luckygas.clients.banking import Settlement
from luckygas.clients.http import Account
from luckygas.drivers.models import Driver
from luckygas.ledger import service as ledger
from luckygas.ledger.models import Entry
from luckygas.resources import Resources
from waiting import eventually

PATH = "/api/v1/closings"
BEFORE = date(2026, 5, 1)


@pytest.fixture
def today(app: Flask) -> date:
    return Resources.of(app).today()


@pytest.fixture
def centre(app: Flask) -> Iterator[None]:
    """Let there be a centre for e-invoices, which nobody asks here."""
    before = Resources.of(app)
    accounts = {"einvoice": Account(url="http://lucky@127.0.0.1:9", secret="x")}  # noqa: S106
    app.extensions["luckygas"] = dataclasses.replace(before, clients=Clients.create(accounts, before.redis))
    yield
    app.extensions["luckygas"] = before


@pytest.fixture
def close(client: FlaskClient, today: date) -> Callable[..., TestResponse]:
    return lambda **body: client.post(PATH, json={"day": str(today)} | body)


@pytest.fixture
def issue(session: Session) -> Callable[[], None]:
    """Let every invoice that is wanted be issued."""

    def go() -> None:
        for row in session.scalars(select(Invoice).where(Invoice.status == InvoiceStatus.WANTED)):
            row.status, row.number, row.random_code = InvoiceStatus.ISSUED, f"AB{row.id:08}", "1234"
        session.commit()

    return go


def sell(session: Session, day: date) -> Entry:
    order = make_order(session)
    sale = ledger.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=order.total_twd)
    entry = ledger.sell(session, sale=sale, day=day, by="tests")
    session.commit()
    return entry


def cancel(client: FlaskClient, order_id: int) -> None:
    path = f"/api/v1/orders/{order_id}"
    seen = {"If-Match": client.get(path).headers["ETag"]}
    assert client.post(f"{path}/cancel", json={"reason": "退貨"}, headers=seen).status_code == 200


@pytest.fixture
def paid(session: Session, today: date) -> None:
    """Let the bank have reported a payment today."""
    came = Settlement(id="S-1", account="1234567890", amount_twd=1700, paid_at=f"{today}T10:00:00+08:00")
    bank.receive(session, settlement=came, today=today)
    session.commit()


@pytest.mark.usefixtures("paid", "centre")
def test_a_day_that_agrees_is_closed(client: FlaskClient, deliver, close, issue, driver: Driver) -> None:
    deliver(None, cash_twd=1700, deposit_twd=1500)
    deliver(None, by_transfer=True)
    client.post("/api/v1/hand-ins", json={"driver_id": driver.id, "counted_twd": 3200})
    issue()
    made = close()
    assert made.status_code == 201
    report = made.json["report"]
    assert report["differences"] == []
    office, own = report["shares"]
    assert (office["driver_id"], office["transfers_twd"], office["orders"]) == (None, 1700, 0)
    assert own == {
        "driver_id": driver.id, "orders": 2, "sales_twd": 3400, "returns_twd": 0, "cash_twd": 3200,
        "deposits_twd": 1500, "transfers_twd": 0, "handed_in_twd": 3200, "cash_difference_twd": 0, "cash_left_twd": 0,
        "cylinders": [{"cylinder_kg": 20, "ordered": 4, "delivered": 4, "returned": 0}],
    }  # fmt: skip
    assert report["total"] == own | {"driver_id": None, "transfers_twd": 1700}
    assert report["invoices"] == {
        "wanted": 0, "wanted_twd": 0, "issued": 2, "issued_twd": 3400, "void": 0, "void_twd": 0,
    }  # fmt: skip
    assert client.get(made.location).json == made.json
    assert client.get(PATH).json["items"] == [made.json]
    assert client.get(f"{PATH}/999999").status_code == 404


@pytest.mark.usefixtures("centre")
def test_what_does_not_agree_is_said_and_closed_only_when_that_is_known(
    client: FlaskClient, deliver, close, driver: Driver
) -> None:
    deliver(None, cash_twd=1700)
    client.post("/api/v1/hand-ins", json={"driver_id": driver.id, "counted_twd": 1650})
    deliver(None, cash_twd=700)
    said = [
        f"of what driver {driver.id} handed in, 50 TWD are missing",
        f"driver {driver.id} has 700 TWD that were not handed in",
        "2 e-invoices over 3400 TWD are not issued yet",
    ]
    assert client.get(f"{PATH}/preview").json["differences"] == said
    refused = close()
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    assert refused.json["detail"].startswith("; ".join(said))
    assert client.get(PATH).json["items"] == []
    assert close(accept_differences=True).json["report"]["differences"] == said


def test_a_hand_in_that_was_a_mistake_is_on_the_report_as_if_it_had_not_been(
    client: FlaskClient, deliver, driver: Driver
) -> None:
    deliver(None, cash_twd=1000)
    mistyped = client.post("/api/v1/hand-ins", json={"driver_id": driver.id, "counted_twd": 10_000}).json
    path = f"/api/v1/ledger/entries/{mistyped['entry_id']}/reversal"
    assert client.post(path, json={"reason": "多打一個零"}).status_code == 201
    client.post("/api/v1/hand-ins", json={"driver_id": driver.id, "counted_twd": 1000})
    found = client.get(f"{PATH}/preview").json
    (own,) = found["shares"]
    assert [own[name] for name in ("cash_twd", "handed_in_twd", "cash_difference_twd", "cash_left_twd")] == [
        1000, 1000, 0, 0,
    ]  # fmt: skip
    assert found["differences"] == []


def test_without_a_centre_nobody_misses_its_invoices(deliver, close, driver: Driver) -> None:
    deliver(None)
    made = close()
    assert (made.status_code, made.json["report"]["invoices"]["wanted"]) == (201, 1)


@pytest.mark.usefixtures("centre")
def test_an_invoice_over_another_amount_is_said(client: FlaskClient, session: Session, deliver, issue) -> None:
    deliver(None)
    issue()
    session.connection().execute(text("UPDATE invoices SET amount_twd = 1600"))
    session.commit()
    (said,) = client.get(f"{PATH}/preview").json["differences"]
    assert said == "the e-invoices come to 1600 TWD, the sales to 1700 TWD"


@pytest.mark.usefixtures("centre")
def test_an_invoice_that_is_not_where_its_order_is_is_said(
    client: FlaskClient, session: Session, deliver, issue, close
) -> None:
    deliver(None)
    deliver(None)
    issue()
    kept, voided = session.scalars(select(Invoice).order_by(Invoice.id))
    cancel(client, kept.order_id)
    voided.status = InvoiceStatus.VOID
    session.commit()
    said = [
        f"order {kept.order_id} is cancelled, its e-invoice {kept.number} is not void",
        f"order {voided.order_id} is delivered, its e-invoice {voided.number} is void",
    ]
    assert client.get(f"{PATH}/preview").json["differences"] == said
    assert close().status_code == 409


@pytest.mark.usefixtures("centre")
def test_an_invoice_of_an_earlier_day_that_should_be_void_is_said(
    client: FlaskClient, session: Session, deliver, issue, close
) -> None:
    deliver(None)
    issue()
    closed = close().json
    kept = session.scalars(select(Invoice)).one()
    cancel(client, kept.order_id)
    tomorrow = date.fromisoformat(closed["day"]) + timedelta(days=1)
    (said,) = client.get(f"{PATH}/preview?day={tomorrow}").json["differences"]
    assert said == f"order {kept.order_id} is cancelled, its e-invoice {kept.number} is not void"


def test_cylinders_that_were_not_delivered_as_ordered_are_said(client: FlaskClient, session, deliver, issue) -> None:
    deliver(None)
    issue()
    session.connection().execute(text("UPDATE order_lines SET quantity = 3"))
    session.commit()
    assert client.get(f"{PATH}/preview").json["differences"] == [
        "the books have sales of 1700 TWD, the orders come to 2550 TWD",
        "3 cylinders of 20 kg were ordered, 2 delivered",
    ]


def test_nothing_is_booked_on_a_closed_day_any_more(client: FlaskClient, session, deliver, close, today) -> None:
    deliver(None)
    before = close(accept_differences=True).json
    late = sell(session, today)
    assert late.day == today + timedelta(days=1)
    assert client.get(f"{PATH}/{before['id']}").json == before
    assert client.get(f"{PATH}/preview?day={today}").json["total"]["sales_twd"] == 1700
    again = close(accept_differences=True)
    assert (again.status_code, again.json["detail"]) == (409, f"the books are closed up to {today}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger_entries (day, kind, by) VALUES (:day, 'payment', 'x')",
        """
        INSERT INTO ledger_lines (entry_id, position, account, amount_twd)
        SELECT id, line, 'bank', 100 * (15 - 2 * line) FROM ledger_entries, generate_series(7, 8) AS line
        """,
    ],
)
def test_the_database_holds_a_closed_day(session: Session, deliver, close, today: date, statement: str) -> None:
    deliver(None)
    with session.begin_nested() as allowed:
        session.connection().execute(text(statement), {"day": today} if ":day" in statement else {})
        allowed.rollback()
    close(accept_differences=True)
    with pytest.raises(IntegrityError, match="closed"), session.begin_nested():
        session.connection().execute(text(statement), {"day": today} if ":day" in statement else {})


def test_days_are_closed_in_their_order(session: Session, close, today: date) -> None:
    sell(session, today - timedelta(days=2))
    late = close(accept_differences=True)
    assert late.json["detail"] == f"something is booked on {today - timedelta(days=2)}: close that day first"
    assert (
        close(day=str(today + timedelta(days=1))).json["detail"].startswith(f"{today + timedelta(days=1)} is not over")
    )
    assert close(day=str(today - timedelta(days=2)), accept_differences=True).status_code == 201
    assert close().status_code == 201  # nothing was booked in between


def test_who_may_close(client_as: Callable[[Role], FlaskClient], today: date) -> None:
    for role, status in ((Role.DRIVER, 403), (Role.DISPATCHER, 201)):
        assert client_as(role).post(PATH, json={"day": str(today)}).status_code == status


def test_a_day_waits_for_what_is_being_booked_and_counts_it(committing_app: Flask) -> None:
    """A delivery is under way when the day is closed: it is on that day; what comes after is on the next."""
    sessions = Resources.of(committing_app).sessions
    reports: list[closing.Closing] = []

    def close_it() -> None:
        with sessions.begin() as session:
            wanted = CloseIn(day=BEFORE, accept_differences=True)
            reports.append(closing.close(session, wanted=wanted, by="tests", today=BEFORE, has_centre=True))

    with sessions.begin() as first:
        customer = make_customer(first)
        order = make_order(first, customer)
        sale = ledger.Sale(order_id=order.id, customer_id=customer.id, total_twd=1700)
        assert ledger.sell(first, sale=sale, day=BEFORE, by="tests").day == BEFORE
        closer = threading.Thread(target=close_it)
        closer.start()
        waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        with sessions() as watcher:
            eventually(lambda: watcher.scalar(waits), "the wait of who closes")
    closer.join(60)
    assert reports[0].report["total"]["sales_twd"] == 1700
    with sessions.begin() as second:
        assert sell(second, BEFORE).day == BEFORE + timedelta(days=1)
