import dataclasses
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

import partners as stub
from factories import make_customer
from luckygas.billing import bills, jobs, service
from luckygas.billing.schemas import Method, PaymentIn
from luckygas.clients import Clients
from luckygas.customers.models import Customer
from luckygas.errors import NotFound
from luckygas.ledger import service as ledger
from luckygas.resources import Resources


@pytest.fixture
def monthly(client: FlaskClient, session: Session) -> Customer:
    customer = make_customer(session, kind="restaurant")
    session.commit()
    path = f"/api/v1/customers/{customer.id}/account"
    assert client.put(path, json={"is_monthly": True}, headers={"If-Match": '"0"'}).json["version"] == 1
    return customer


@pytest.fixture
def today(app: Flask) -> date:
    return Resources.of(app).today()


def bill(session: Session, customer: Customer, until: date) -> bills.Bill | None:
    made = bills.of_month(session, customer_id=customer.id, until=until, today=until + timedelta(days=1))
    session.commit()
    return made


def pay(session: Session, customer: Customer, amount_twd: int, today: date) -> service.Paid:
    payment = PaymentIn(customer_id=customer.id, method=Method.CASH, amount_twd=amount_twd)
    return service.pay(session, payment=payment, by="tests", today=today)


def cancel_newest(client: FlaskClient, customer: Customer) -> None:
    (order, *_) = client.get(f"/api/v1/orders?customer_id={customer.id}&status=delivered").json["items"]
    seen = {"If-Match": f'"{order["version"]}"'}
    path = f"/api/v1/orders/{order['id']}/cancel"
    assert client.post(path, json={"reason": "退貨"}, headers=seen).json["status"] == "cancelled"


def open_bills(client: FlaskClient, customer: Customer) -> int:
    """Return what the customer's bills ask for together."""
    made = client.get(f"/api/v1/bills?customer_id={customer.id}").json["items"]
    return sum(client.get(f"/api/v1/bills/{one['id']}").json["open_twd"] for one in made)


def test_a_monthly_account_is_agreed_once(client: FlaskClient, monthly: Customer, account, today: date) -> None:
    assert account(monthly)["monthly_since"] == str(today)
    path = f"/api/v1/customers/{monthly.id}/account"
    late = client.put(path, json={"is_monthly": False}, headers={"If-Match": '"0"'})
    assert (late.status_code, late.json["code"]) == (412, "edited_meanwhile")
    assert client.put(path, json={"is_monthly": False}, headers={"If-Match": '"1"'}).json["monthly_since"] is None
    nobody = client.put("/api/v1/customers/999999/account", json={"is_monthly": True}, headers={"If-Match": '"0"'})
    assert nobody.status_code == 404


def test_what_is_agreed_does_not_depend_on_what_is_owed_meanwhile(
    client: FlaskClient, monthly: Customer, deliver
) -> None:
    path = f"/api/v1/customers/{monthly.id}/account"
    before = client.get(path).headers["ETag"]
    deliver(monthly)
    assert client.get(path, headers={"If-None-Match": before}).status_code == 200
    assert client.put(path, json={"is_monthly": False}, headers={"If-Match": before}).status_code == 200


def test_a_month_is_billed_once(client: FlaskClient, session: Session, monthly: Customer, deliver, today) -> None:
    deliver(monthly)
    deliver(monthly, cash_twd=700)
    made = bill(session, monthly, today)
    assert (made.amount_twd, made.due_on) == (2700, today + timedelta(days=1 + bills.DAYS_TO_PAY))
    assert bill(session, monthly, today) is None
    deliver(monthly)
    assert bill(session, monthly, today).amount_twd == 1700
    listed = client.get(f"/api/v1/bills?customer_id={monthly.id}").json["items"]
    assert [item["amount_twd"] for item in listed] == [1700, 2700]
    first = client.get(f"/api/v1/bills/{made.id}").json
    assert sum(item["amount_twd"] for item in first["items"]) == first["amount_twd"]
    assert client.get("/api/v1/bills/999999").status_code == 404


def test_what_was_taken_back_is_set_against_the_next_bill(
    client: FlaskClient, session: Session, monthly: Customer, deliver, today: date
) -> None:
    deliver(monthly)
    assert bill(session, monthly, today).amount_twd == 1700
    cancel_newest(client, monthly)
    assert bill(session, monthly, today) is None
    for _ in range(2):
        deliver(monthly)
    assert bill(session, monthly, today).amount_twd == 1700


def test_the_oldest_bill_is_paid_first(
    client: FlaskClient, session: Session, monthly: Customer, deliver, today: date
) -> None:
    made = []
    for _ in range(2):
        deliver(monthly)
        made.append(bill(session, monthly, today).id)
    deliver(monthly)  # on no bill yet

    def left() -> list[int]:
        return [client.get(f"/api/v1/bills/{bill_id}").json["open_twd"] for bill_id in made]

    assert left() == [1700, 1700]
    for amount, expected in ((700, [1000, 1700]), (1000, [0, 1700]), (1800, [0, 0])):
        body = {"customer_id": monthly.id, "method": "transfer", "amount_twd": amount}
        assert client.post("/api/v1/payments", json=body).status_code == 201
        assert left() == expected


@pytest.mark.parametrize("begins_again", [False, True])
def test_a_monthly_account_that_ends_has_its_last_bill(
    client: FlaskClient, monthly: Customer, deliver, *, begins_again: bool
) -> None:
    deliver(monthly)
    path = f"/api/v1/customers/{monthly.id}/account"
    for version, is_monthly in ((1, False), (2, True)) if begins_again else ((1, False),):
        agreed = client.put(path, json={"is_monthly": is_monthly}, headers={"If-Match": f'"{version}"'})
        assert agreed.status_code == 200
    (last,) = client.get(f"/api/v1/bills?customer_id={monthly.id}").json["items"]
    assert last["amount_twd"] == 1700


def test_what_was_delivered_after_the_close_is_on_the_last_bill(
    client: FlaskClient, monthly: Customer, deliver, today: date
) -> None:
    body = {"day": str(today), "accept_differences": True}
    assert client.post("/api/v1/closings", json=body).status_code == 201
    deliver(monthly)  # booked on tomorrow
    path = f"/api/v1/customers/{monthly.id}/account"
    assert client.put(path, json={"is_monthly": False}, headers={"If-Match": '"1"'}).status_code == 200
    assert open_bills(client, monthly) == 1700


def test_cash_for_an_older_bill_is_not_taken_off_later_deliveries(
    client: FlaskClient, session: Session, monthly: Customer, deliver, today: date
) -> None:
    deliver(monthly)
    older = bill(session, monthly, today).id
    deliver(monthly, cash_twd=3400)
    assert client.get(f"/api/v1/bills/{older}").json["open_twd"] == 0
    assert bill(session, monthly, today) is None
    deliver(monthly)
    assert bill(session, monthly, today).amount_twd == 1700


def test_a_cancelled_delivery_is_asked_for_by_no_bill(client: FlaskClient, session: Session, deliver) -> None:
    customer = make_customer(session)
    for left in (1700, 3400):
        deliver(customer, by_transfer=True)
        assert open_bills(client, customer) == left
    for left in (1700, 0):
        cancel_newest(client, customer)
        assert open_bills(client, customer) == left


def test_who_transfers_gets_a_bill_of_that_order_alone(client: FlaskClient, session, deliver, account) -> None:
    customer = make_customer(session)
    deliver(customer)
    deliver(customer, cash_twd=200, by_transfer=True)
    (made,) = client.get(f"/api/v1/bills?customer_id={customer.id}").json["items"]
    assert made["amount_twd"] == 1500
    assert account(customer)["owed_twd"] == 3200


def test_what_is_paid_in_full_at_the_door_needs_no_bill(client: FlaskClient, session: Session, deliver) -> None:
    customer = make_customer(session)
    assert deliver(customer, cash_twd=1700, by_transfer=True).status_code == 200
    assert client.get(f"/api/v1/bills?customer_id={customer.id}").json["items"] == []


NO_BANK, BANK = (SimpleNamespace(banking=SimpleNamespace(is_configured=one)) for one in (False, True))


def test_a_bill_that_is_open_again_has_an_account_opened(
    session: Session, monthly: Customer, deliver, today: date
) -> None:
    def waiting() -> list[int]:
        session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'billing.pay_into'"))
        for clients in (NO_BANK, BANK):
            jobs.months(session, SimpleNamespace(today=lambda: today, clients=clients))
        asked = "SELECT (args ->> 'bill_id')::int FROM procrastinate_jobs WHERE task_name = 'billing.pay_into'"
        return list(session.scalars(text(asked)))

    deliver(monthly)
    paid = pay(session, monthly, 1700, today)
    made = bill(session, monthly, today)
    assert waiting() == []
    ledger.reverse(session, entry_id=paid.entry_id, day=today, by="tests", reason="of another customer")
    assert waiting() == [made.id]
    bills.note_pay_into(session, bill_id=made.id, number="99880010000001")
    assert waiting() == []


def test_every_monthly_account_of_last_month_has_its_turn(session: Session, monthly: Customer, today: date) -> None:
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    held = SimpleNamespace(today=lambda: next_month, clients=NO_BANK)
    make_customer(session)
    jobs.months(session, held)
    (arguments,) = session.scalars(text("SELECT args FROM procrastinate_jobs WHERE task_name = 'billing.month'"))
    assert arguments == {"customer_id": monthly.id, "until": str(next_month - timedelta(days=1))}


def test_the_job_bills_the_month_it_was_given(session: Session, monthly: Customer, deliver, today: date) -> None:
    deliver(monthly)
    held = SimpleNamespace(today=lambda: today)
    jobs.month(session, held, customer_id=monthly.id, until=str(today - timedelta(days=1)))
    assert bills.find(session, query=bills.BillQuery(), before_id=2**62, count=9) == []
    jobs.month(session, held, customer_id=monthly.id, until=str(today))
    (made,) = bills.find(session, query=bills.BillQuery(), before_id=2**62, count=9)
    assert (made.customer_id, made.until) == (monthly.id, today)


def test_the_bank_opens_an_account_for_what_is_open_once(app: Flask, session: Session, monthly, deliver, today) -> None:
    deliver(monthly)
    pay(session, monthly, 1000, today)
    made = bill(session, monthly, today)
    resources = Resources.of(app)
    jobs.pay_into(session, resources, bill_id=made.id)
    assert made.pay_into is None  # no bank is configured
    with stub.running() as partners:
        held = dataclasses.replace(resources, clients=Clients.create(partners.configuration, resources.redis))
        held.clients.banking.breaker.close()
        jobs.pay_into(session, held, bill_id=made.id)
        number = made.pay_into
        jobs.pay_into(session, held, bill_id=made.id)
        assert made.pay_into == number == partners.accounts[f"bill-{made.id}"]
        assert {body["amount_twd"] for path, body in partners.requests if path.endswith("virtual-accounts")} == {700}
        pay(session, monthly, 700, today)
        partners.requests.clear()
        jobs.pay_into(session, held, bill_id=made.id)
        assert partners.requests == []
    with pytest.raises(NotFound):
        jobs.pay_into(session, held, bill_id=999_999)
