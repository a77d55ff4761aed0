"""Several people reach for the same thing at the same moment, with real commits: one gets it, the others are told."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from factories import TODAY, make_customer, make_cylinder, make_driver, make_key, make_order
from luckygas.ledger import service as ledger
from luckygas.resources import Resources

AT_ONCE = 6

type Send = Callable[[str, str, dict | str], int]


@pytest.fixture
def send(committing_app: Flask) -> Send:
    """Send one request with a client of its own; return the status."""
    with Resources.of(committing_app).sessions.begin() as session:
        key = make_key(session).reveal()

    def send(method: str, path: str, body: dict | str) -> int:
        client = committing_app.test_client()
        sent = {"json": body} if isinstance(body, dict) else {"data": body.encode(), "content_type": "text/csv"}
        return client.open(path, method=method, headers={"X-API-Key": key, "If-Match": '"1"'}, **sent).status_code

    return send


def at_once(act: Callable[[int], int]) -> Counter[int]:
    """Do it several times side by side, and count how it ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(act, range(AT_ONCE)))


def test_of_those_who_change_an_order_one_wins(committing_app: Flask, send: Send) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        order_id = make_order(session).id
    body = {"lines": [{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 800}]}
    ended = at_once(lambda n: send("PUT", f"/api/v1/orders/{order_id}", body | {"delivery_address": f"{n} 號"}))
    assert ended == {200: 1, 412: AT_ONCE - 1}


def test_of_those_who_load_a_cylinder_one_has_it(committing_app: Flask, send: Send) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        serials = [make_cylinder(session).serial for _ in range(2)]
        drivers = [make_driver(session).id for _ in range(AT_ONCE)]
    # In either order, so that two who wait for each other would be noticed.
    ended = at_once(
        lambda n: send("POST", "/api/v1/cylinders/load", {"driver_id": drivers[n], "serials": serials[:: (-1) ** n]})
    )
    assert ended == {200: 1, 409: AT_ONCE - 1}


def test_a_deposit_is_given_back_once(committing_app: Flask, send: Send) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        path = f"/api/v1/customers/{make_customer(session).id}/deposits"
    assert send("POST", path, {"amount_twd": 1500}) == 201
    assert at_once(lambda _: send("POST", path, {"amount_twd": -1500})) == {201: 1, 409: AT_ONCE - 1}


def test_a_debt_is_paid_once(committing_app: Flask, send: Send) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        order = make_order(session)
        sale = ledger.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=order.total_twd)
        ledger.sell(session, sale=sale, day=TODAY, by="tests")
        body = {"customer_id": order.customer_id, "method": "cash", "amount_twd": order.total_twd}
    assert at_once(lambda _: send("POST", "/api/v1/payments", body)) == {201: 1, 409: AT_ONCE - 1}


def test_a_payment_is_reversed_once(committing_app: Flask, send: Send) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        line = ledger.Line.cash(5, driver_id=None)
        bank = ledger.Line(account=ledger.Account.BANK, amount_twd=-5)
        booking = ledger.Booking(kind=ledger.EntryKind.PAYMENT, day=TODAY, by="tests", lines=[line, bank])
        path = f"/api/v1/ledger/entries/{ledger.post(session, booking=booking).id}/reversal"
    assert at_once(lambda _: send("POST", path, {"reason": "x"})) == {201: 1, 409: AT_ONCE - 1}


def test_a_file_of_customers_is_imported_once(send: Send) -> None:
    lines = [f"household,王小明{number},09{number:08},臺北市大同區民生西路 {number} 號" for number in range(50)]
    file = "\r\n".join(["kind,name,mobile,address", *lines])
    assert at_once(lambda _: send("POST", "/api/v1/customers/import", file)) == {200: 1, 422: AT_ONCE - 1}
