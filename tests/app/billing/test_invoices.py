"""E-invoices with a real worker and a centre that may be down: each is issued once, and void when its order is."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import partners as stub
from factories import TODAY, make_customer, make_driver, make_order, new_client
from luckygas import worker
from luckygas.access import Principal, Role
from luckygas.billing import invoices, service
from luckygas.billing.models import Invoice
from luckygas.billing.schemas_partners import InvoiceNews
from luckygas.clients import BREAKERS
from luckygas.clients.einvoice import Issued
from luckygas.clients.http import Account
from luckygas.config import Settings, WorkerSettings
from luckygas.jobs import queue
from luckygas.orders import service as orders
from luckygas.resources import Resources
from partners import Partners

LATER = timedelta(hours=1)
NUMBER = "AB10000001"
OFFICE = Principal(id="tests", role=Role.DISPATCHER)


@pytest.fixture
def partners(monkeypatch: pytest.MonkeyPatch) -> Iterator[Partners]:
    monkeypatch.setattr(queue, "SCHEDULE", {})
    with stub.running() as running:
        yield running


@pytest.fixture
def committed(committing_app: Flask) -> Callable[[], Session]:
    return Resources.of(committing_app).sessions.begin


@pytest.fixture
def forget_failures(committing_app: Flask) -> Iterator[Callable[[], None]]:
    """Close all breakers, as some minutes do."""
    redis = Resources.of(committing_app).redis

    def forget() -> None:
        redis.delete(*(f"lg:breaker:{name}{end}" for name in BREAKERS for end in ("", ":probe")))

    forget()
    yield forget
    forget()


@pytest.fixture
def work(committed, environ, settings: Settings, partners: Partners, forget_failures) -> Callable[..., None]:
    """Let a worker do what there is, at once also what was to wait."""

    def go(accounts: dict[str, Account] | None = None) -> None:
        forget_failures()
        with committed() as session:
            session.connection().execute(
                text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'")
            )
        known = dataclasses.replace(settings, partners=partners.configuration if accounts is None else accounts)
        worker.run(known, WorkerSettings.from_environ(environ), wait=False)

    return go


@pytest.fixture
def sell(committed) -> Callable[..., int]:
    """Deliver an order of 1700 TWD, as far as money is concerned; return its id."""

    def go(**changes: object) -> int:
        with committed() as session:
            order = make_order(session, make_customer(session, **changes))
            for step in (orders.schedule, orders.send_out):
                step(session, order_id=order.id, by="tests")
            orders.finish(session, order_id=order.id, by="tests", note="王太太")
            money = service.AtDoor(
                customer_id=order.customer_id, order_id=order.id, driver_id=make_driver(session).id,
                total_twd=order.total_twd, cash_twd=0, deposit_twd=0, by_transfer=False,
            )  # fmt: skip
            service.settle_at_door(session, money=money, by="tests", today=TODAY)
            return order.id

    return go


@pytest.fixture
def cancel(committed) -> Callable[[int], None]:
    def go(order_id: int) -> None:
        with committed() as session:
            seen = {orders.get(session, order_id=order_id).version}
            orders.cancel(session, order_id=order_id, seen=seen, principal=OFFICE, today=TODAY, reason="退貨")

    return go


def states(committed) -> list[tuple[str, str | None]]:
    with committed() as session:
        return [(row.status, row.number) for row in session.scalars(select(Invoice).order_by(Invoice.id))]


def test_what_is_delivered_gets_its_invoice(committed, work, sell, partners: Partners) -> None:
    order_id = sell(tax_number="04595257")
    assert states(committed) == [("wanted", None)]
    work()
    assert states(committed) == [("issued", partners.invoices[f"order{order_id}"]["number"])]
    (_, asked) = next(one for one in partners.requests if one[0] == "/einvoice/invoices")
    assert (asked["CustomerIdentifier"], asked["SalesAmount"]) == ("04595257", 1700)
    assert asked["Items"] == [{"name": "瓦斯 20 公斤", "count": 2, "price_twd": 850}]


@pytest.mark.parametrize("mode", ["500", "malformed", "429", "lost"])
def test_while_the_centre_is_down_nothing_is_lost_and_none_is_issued_twice(
    committed, work, sell, partners: Partners, mode: str
) -> None:
    sold = [sell() for _ in range(3)]
    partners.mode = mode
    for _ in range(2):
        work()
        assert [status for status, _ in states(committed)] == ["wanted"] * 3
    partners.mode = "ok"
    work()
    assert states(committed) == [("issued", partners.invoices[f"order{order_id}"]["number"]) for order_id in sold]
    assert len(partners.invoices) == 3


def test_a_cancelled_delivery_has_its_invoice_voided(committed, work, sell, cancel, partners: Partners) -> None:
    order_id = sell()
    work()
    cancel(order_id)
    partners.mode = "lost"
    work()
    assert [status for status, _ in states(committed)] == ["issued"]
    partners.mode = "ok"
    work()
    number = partners.invoices[f"order{order_id}"]["number"]
    assert (states(committed), partners.void) == ([("void", number)], [number])
    work()
    assert partners.void == [number]


def test_what_was_cancelled_before_the_centre_answered_ends_void(
    committed, work, sell, cancel, partners: Partners
) -> None:
    """The first attempt got through and its answer was lost: the invoice is there and must be voided."""
    order_id = sell()
    partners.mode = "lost"
    work()
    cancel(order_id)
    partners.mode = "ok"
    work()
    number = partners.invoices[f"order{order_id}"]["number"]
    assert (states(committed), partners.void) == ([("void", number)], [number])


def test_the_centre_may_tell_of_an_invoice_before_it_answers(committed, sell, cancel) -> None:
    """Its news of an invoice come while it is being asked for that one: they do not wait for its own answer."""
    order_id = sell()
    cancel(order_id)
    asked: list[str] = []

    def tell(what: str) -> None:
        asked.append(what)
        with committed() as session:
            news = InvoiceNews(reference=f"order{order_id}", number=NUMBER, random_code="1234", status=what)
            assert invoices.hear(session, news=news, now=datetime.now(UTC))

    def issue(**_: object) -> Issued:
        tell("issued")
        return Issued(number=NUMBER, random_code="1234")

    centre = SimpleNamespace(issue=issue, void=lambda **_: tell("void"))
    with committed() as session:
        invoices.bring_about(session, order_id=order_id, centre=centre, now=datetime.now(UTC))
    assert (states(committed), asked) == ([("void", NUMBER)], ["issued", "void"])


def test_a_gift_has_no_invoice(committed, work, partners: Partners) -> None:
    with committed() as session:
        lines = [{"cylinder_kg": 4, "quantity": 1, "unit_price_twd": 0}]
        order = make_order(session, lines=lines)
        sale = service.ledger.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=0)
        assert invoices.want(session, sale=sale) is None
    work()
    assert (states(committed), partners.requests) == ([], [])


def test_invoices_wait_for_a_centre_to_be_configured(committed, work, sell, partners: Partners) -> None:
    for _ in range(2):
        sell()
    work(accounts={})
    assert [status for status, _ in states(committed)] == ["wanted", "wanted"]
    now = datetime.now(UTC)
    with committed() as session:
        assert invoices.catch_up(session, now=now) == 0  # their own jobs may still be at it
        assert invoices.catch_up(session, now=now + LATER) == 2
        assert invoices.catch_up(session, now=now + LATER) == 0  # they are in the queue again
    work()
    assert [status for status, _ in states(committed)] == ["issued", "issued"]
    with committed() as session:
        assert invoices.catch_up(session, now=now + LATER) == 0


def test_a_refusal_is_left_to_people(committing_app: Flask, committed, work, sell, partners: Partners) -> None:
    sell()
    partners.mode = "400"
    work()
    with committed() as session:
        assert invoices.catch_up(session, now=datetime.now(UTC) + LATER) == 0
    client = new_client(committing_app)
    (dead,) = client.get("/api/v1/jobs").json["items"]
    assert (dead["name"], dead["last_failure"]) == ("billing.invoice", "Refused: einvoice answered 400")
    (waiting,) = client.get("/api/v1/invoices?status=wanted").json["items"]
    assert client.get(f"/api/v1/invoices/{waiting['id']}").json == waiting
    assert client.get("/api/v1/invoices/999999").status_code == 404
    partners.mode = "ok"
    client.post(f"/api/v1/jobs/{dead['id']}/replay", json={})
    work()
    assert client.get("/api/v1/invoices?status=wanted").json["items"] == []
