from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from factories import make_customer, make_order
from luckygas.access import Role
from luckygas.drivers.models import Driver

PAYMENTS = "/api/v1/payments"


def balances(client: FlaskClient) -> dict[str, int]:
    found = client.get("/api/v1/ledger/balances").json
    assert found["total_twd"] == 0
    return {item["account"]: item["amount_twd"] for item in found["items"] if item["amount_twd"]}


def test_what_is_delivered_is_owed(client: FlaskClient, session: Session, deliver, account, driver: Driver) -> None:
    customer = make_customer(session)
    assert deliver(customer).status_code == 200
    assert account(customer)["owed_twd"] == 1700
    (entry,) = client.get(f"/api/v1/ledger/entries?customer_id={customer.id}").json["items"]
    assert (entry["kind"], entry["driver_id"]) == ("sale", driver.id)
    assert balances(client) == {"receivable": 1700, "sales": -1700}


def test_what_is_paid_at_the_door_is_in_the_drivers_hands(client: FlaskClient, session, deliver, account) -> None:
    customer = make_customer(session)
    assert deliver(customer, cash_twd=1700, deposit_twd=1500).status_code == 200
    assert account(customer) == {
        "customer_id": customer.id, "monthly_since": None, "owed_twd": 0, "deposit_twd": 1500, "version": 0,
    }  # fmt: skip
    assert balances(client) == {"deposits": -1500, "driver_cash": 3200, "sales": -1700}
    assert client.get(f"/api/v1/customers/{customer.id}/deposits").json["held_twd"] == 1500


def test_a_delivery_that_is_refused_books_nothing(client: FlaskClient, session, deliver, account) -> None:
    customer = make_customer(session)
    refused = deliver(customer, cash_twd=1701)
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    assert refused.json["detail"] == f"customer {customer.id} owes 1700 TWD, so cash_twd cannot be 1701"
    assert account(customer)["owed_twd"] == 0
    assert client.get("/api/v1/orders?status=delivered").json["items"] == []


def test_cash_at_the_door_pays_older_debts_as_well(session: Session, deliver, account) -> None:
    customer = make_customer(session)
    deliver(customer)
    assert deliver(customer, cash_twd=3000).status_code == 200
    assert account(customer)["owed_twd"] == 400


@pytest.mark.parametrize(("method", "kept_in"), [("cash", "till"), ("transfer", "bank")])
def test_a_payment_in_the_office(client: FlaskClient, session: Session, deliver, method: str, kept_in: str) -> None:
    customer = make_customer(session)
    deliver(customer)
    paid = client.post(PAYMENTS, json={"customer_id": customer.id, "method": method, "amount_twd": 1000})
    assert paid.status_code == 201
    assert (paid.json["amount_twd"], paid.json["owed_twd"]) == (1000, 700)
    assert balances(client)[kept_in] == 1000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_twd": 0}, "amount_twd"),
        ({"amount_twd": 1.5}, "amount_twd"),
        ({"customer_id": 999_999}, "customer_id"),
        ({"driver_id": 999_999}, "driver_id"),
        ({"method": "transfer", "driver_id": 1}, "driver_id"),
    ],
)
def test_what_cannot_be_paid_is_named(client: FlaskClient, session: Session, deliver, changes, field: str) -> None:
    customer = make_customer(session)
    deliver(customer)
    body = {"customer_id": customer.id, "method": "cash", "amount_twd": 100} | changes
    refused = client.post(PAYMENTS, json=body)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)


def test_nobody_pays_more_than_they_owe(client: FlaskClient, session: Session, deliver) -> None:
    customer = make_customer(session)
    deliver(customer)
    for amount in (1701, -1):
        body = {"customer_id": customer.id, "method": "cash", "amount_twd": amount}
        assert client.post(PAYMENTS, json=body).status_code == 409


def test_what_was_paid_for_a_cancelled_delivery_is_given_back(
    client: FlaskClient, session: Session, deliver, account
) -> None:
    customer = make_customer(session)
    deliver(customer, cash_twd=1700)
    (order,) = client.get(f"/api/v1/orders?customer_id={customer.id}").json["items"]
    path, seen = f"/api/v1/orders/{order['id']}/cancel", {"If-Match": f'"{order["version"]}"'}
    assert client.post(path, json={"reason": "客人退貨"}, headers=seen).json["status"] == "cancelled"
    assert account(customer)["owed_twd"] == -1700
    refund = {"customer_id": customer.id, "method": "cash", "amount_twd": -1700}
    assert client.post(PAYMENTS, json=refund | {"amount_twd": -1701}).status_code == 409
    assert client.post(PAYMENTS, json=refund).json["owed_twd"] == 0
    assert balances(client) == {"driver_cash": 1700, "till": -1700}


def test_only_who_may_book_money_cancels_what_was_delivered(
    client: FlaskClient, client_as: Callable[[Role], FlaskClient], session: Session, deliver, account
) -> None:
    customer, shop = make_customer(session), client_as(Role.SERVICE)
    deliver(customer)
    (order,) = client.get(f"/api/v1/orders?customer_id={customer.id}").json["items"]
    path, seen = f"/api/v1/orders/{order['id']}/cancel", {"If-Match": f'"{order["version"]}"'}
    refused = shop.post(path, json={"reason": "退貨"}, headers=seen)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert "billing:write" in refused.json["detail"]
    assert account(customer)["owed_twd"] == 1700
    placed = make_order(session, customer)
    session.commit()
    cancelled = shop.post(f"/api/v1/orders/{placed.id}/cancel", json={"reason": "退貨"}, headers={"If-Match": '"1"'})
    assert cancelled.status_code == 200


def test_cancelling_what_was_not_delivered_books_nothing(client: FlaskClient, session: Session) -> None:
    order = make_order(session)
    session.commit()
    client.post(f"/api/v1/orders/{order.id}/cancel", json={"reason": "客人出國"}, headers={"If-Match": '"1"'})
    assert session.scalar(text("SELECT count(*) FROM ledger_entries")) == 0


@pytest.mark.parametrize(("counted", "difference"), [(1700, 0), (1650, -50), (1720, 20)])
def test_a_driver_hands_in_what_is_counted(
    client: FlaskClient, deliver, driver: Driver, counted: int, difference: int
) -> None:
    deliver(None, cash_twd=1700)
    found = client.post("/api/v1/hand-ins", json={"driver_id": driver.id, "counted_twd": counted})
    assert found.status_code == 201
    assert (found.json["expected_twd"], found.json["difference_twd"]) == (1700, difference)
    left = balances(client)
    assert (left["till"], left.get("cash_difference", 0)) == (counted, -difference)
    assert "driver_cash" not in left


def test_a_deposit_is_in_the_books(client: FlaskClient, session: Session, account, driver: Driver) -> None:
    customer = make_customer(session)
    session.commit()
    path = f"/api/v1/customers/{customer.id}/deposits"
    assert client.post(path, json={"amount_twd": 3000}).status_code == 201
    assert client.post(path, json={"amount_twd": -1000, "driver_id": driver.id}).status_code == 201
    assert client.post(path, json={"amount_twd": 5, "driver_id": 999_999}).json["errors"][0]["field"] == "driver_id"
    assert account(customer)["deposit_twd"] == 2000
    assert balances(client) == {"deposits": -2000, "till": 3000, "driver_cash": -1000}
