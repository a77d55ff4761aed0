import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

import partners as stub
from factories import make_customer, make_order
from luckygas.billing import bank, bills, jobs
from luckygas.billing.models import Bill
from luckygas.clients import Clients
from luckygas.clients.banking import Settlement
from luckygas.clients.http import Away
from luckygas.customers import service as customers
from luckygas.customers.models import Customer
from luckygas.ledger import service as ledger
from luckygas.resources import Resources
from statements import asked

PATH = "/api/v1/bank-payments"
ACCOUNT = "99880010000001"


def settlement(number: int = 1, *, account: str = ACCOUNT, amount: int = 1700, day: date | None = None) -> Settlement:
    at = datetime.combine(day or datetime.now(UTC).date(), datetime.min.time(), UTC)
    return Settlement(id=f"S-{number}", account=account, amount_twd=amount, paid_at=at)


@pytest.fixture
def today(app) -> date:
    return Resources.of(app).today()


@pytest.fixture
def billed(client: FlaskClient, session: Session, deliver) -> tuple[Customer, Bill]:
    """Return a customer with a bill of 1700 TWD, which has an account at the bank."""
    customer = make_customer(session)
    deliver(customer, by_transfer=True)
    (row,) = bills.find(session, query=bills.BillQuery(), before_id=2**62, count=9)
    bills.note_pay_into(session, bill_id=row.id, number=ACCOUNT)
    session.commit()
    return customer, row


@pytest.fixture
def receive(session: Session, today: date) -> Callable[..., bool]:
    def go(*args: int, **kwargs: object) -> bool:
        new = bank.receive(session, settlement=settlement(*args, **kwargs), today=today)
        session.commit()
        return new

    return go


def test_what_is_paid_into_the_account_of_a_bill_pays_it(client: FlaskClient, billed, receive, account) -> None:
    customer, bill = billed
    assert receive(amount=1000)
    assert account(customer)["owed_twd"] == 700
    assert client.get(f"/api/v1/bills/{bill.id}").json["open_twd"] == 700
    (row,) = client.get(f"{PATH}?status=assigned").json["items"]
    assert (row["customer_id"], row["assigned_by"]) == (customer.id, "account of the bill")


def test_the_same_payment_is_booked_once_however_often_it_is_told(session, billed, receive, account) -> None:
    customer, _ = billed
    assert [receive(1), receive(1), receive(1, amount=5)] == [True, False, False]
    assert account(customer)["owed_twd"] == 0


def test_more_than_was_owed_is_a_credit(billed, receive, account) -> None:
    customer, _ = billed
    receive(amount=2000)
    assert account(customer)["owed_twd"] == -300


def test_what_nobody_knows_waits_for_a_person(client: FlaskClient, session, billed, receive, account) -> None:
    customer, _ = billed
    make_customer(session)
    receive(account="1234567890")
    assert account(customer)["owed_twd"] == 1700
    (row,) = client.get(f"{PATH}?status=unassigned").json["items"]
    assert client.get(f"{PATH}/{row['id']}").json["suggestions"] == [customer.id]
    done = client.post(f"{PATH}/{row['id']}/assignment", json={"customer_id": customer.id})
    assert (done.status_code, done.json["customer_id"]) == (200, customer.id)
    assert account(customer)["owed_twd"] == 0
    assert client.get(f"{PATH}?status=unassigned").json["items"] == []
    assert client.get(f"{PATH}/{row['id']}").json["suggestions"] == []
    assert ledger.balances(session)[ledger.Account.UNASSIGNED] == 0


def test_a_delivery_without_a_bill_is_suggested_as_well(client: FlaskClient, session, deliver, receive) -> None:
    owes, paid = make_customer(session), make_customer(session)
    deliver(owes)
    deliver(paid, cash_twd=1700)
    receive(account="1234567890")
    (row,) = client.get(PATH).json["items"]
    assert client.get(f"{PATH}/{row['id']}").json["suggestions"] == [owes.id]


def test_a_payment_that_was_given_to_the_wrong_customer_goes_on(
    client: FlaskClient, session: Session, billed, receive, account
) -> None:
    customer, wrong = billed[0], make_customer(session)
    receive(account="1234567890")
    (row,) = client.get(PATH).json["items"]
    path = f"{PATH}/{row['id']}/assignment"
    assert client.post(path, json={"customer_id": wrong.id}).status_code == 200
    late = client.post(path, json={"customer_id": customer.id})
    assert (late.status_code, late.json["code"]) == (409, "wrong_state")
    assert client.post(path, json={"customer_id": customer.id, "instead_of": wrong.id}).status_code == 200
    assert (account(wrong)["owed_twd"], account(customer)["owed_twd"]) == (0, 0)


def test_what_cannot_be_assigned_is_named(client: FlaskClient, receive) -> None:
    receive(account="1234567890")
    (row,) = client.get(PATH).json["items"]
    refused = client.post(f"{PATH}/{row['id']}/assignment", json={"customer_id": 999_999})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "customer_id")
    assert client.post(f"{PATH}/999999/assignment", json={"customer_id": 1}).status_code == 404


def test_after_an_outage_the_days_that_were_missed_are_read(session: Session) -> None:
    start = date(2026, 5, 10)

    def read(today: date) -> list[int]:
        days = bank.days_to_read(session, today=today)
        for day in days:
            bank.note_read(session, day=day, now=datetime.now(UTC), today=today)
        return [day.day for day in days]

    assert read(start) == [8, 9, 10]
    assert read(start) == [9, 10]
    assert read(start + timedelta(days=1)) == [9, 10, 11]
    assert read(start + timedelta(days=6)) == [10, 11, 12, 13, 14, 15, 16]
    assert len(read(start + timedelta(days=60))) == bank.MOST_DAYS


def test_the_statement_is_read_when_the_bank_answers(app, session: Session, billed, account, today: date) -> None:
    customer, _ = billed
    resources = Resources.of(app)
    with stub.running() as partners:
        clients = Clients.create(partners.configuration, resources.redis)
        held = SimpleNamespace(clients=clients, today=lambda: today)
        partners.settlements = [settlement(1, day=today).model_dump(mode="json"), settlement(
            2, account="1234567890", amount=5, day=today - timedelta(days=1)
        ).model_dump(mode="json")]  # fmt: skip
        for mode, owed in (("500", 1700), ("ok", 0), ("ok", 0)):
            clients.banking.breaker.close()
            partners.mode = mode
            jobs.statements(session, held)
            session.commit()
            assert account(customer)["owed_twd"] == owed
        assert ledger.balances(session)[ledger.Account.BANK] == 1705


def test_nobody_waits_while_the_bank_is_asked(committing_app: Flask) -> None:
    """A payment was found on one day's statement; while the next is read, deliveries and the close of a day go on."""
    resources = Resources.of(committing_app)
    today = resources.today()
    with resources.sessions.begin() as session:
        customer = make_customer(session)
        order = make_order(session, customer)
        sale = ledger.Sale(order_id=order.id, customer_id=customer.id, total_twd=1700)
        ledger.sell(session, sale=sale, day=today, by="tests")
        bill = bills.of_order(session, customer_id=customer.id, order_id=order.id, today=today)
        bills.note_pay_into(session, bill_id=bill.id, number=ACCOUNT)
        customer_id = customer.id
    statements: list[int] = []

    def settlements(*, day: date) -> list[Settlement]:
        statements.append(len(seen))
        with resources.sessions.begin() as other:
            other.connection().execute(text("SET LOCAL lock_timeout = '1ms'"))
            customers.lock(other, customer_id=customer_id)
            ledger.days.pause(other)
        if day == today:
            raise Away
        return [settlement(day.day, amount=100, day=day)]

    held = SimpleNamespace(
        clients=SimpleNamespace(banking=SimpleNamespace(is_configured=True, settlements=settlements)),
        today=lambda: today,
    )
    with resources.sessions.begin() as session, asked(session.connection()) as seen:
        jobs.statements(session, held)
    # The database ends a transaction in which nothing is asked for long: something is between any two of these calls.
    assert len(set(statements)) == len(statements) == 3
    with resources.sessions() as session:
        assert ledger.owed(session, customer_id=customer_id) == 1500  # what came before the bank was away


def test_without_a_bank_no_statement_is_read(app, session: Session) -> None:
    jobs.statements(session, dataclasses.replace(Resources.of(app)))
    assert bank.find(session, query=bank.BankPaymentQuery(), before_id=2**62, count=1) == []
