from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from factories import make_customer, make_order, order_body
from luckygas.customers.models import Customer
from luckygas.resources import Resources
from luckygas.taiwan import CYLINDER_SIZES_KG

PATH = "/api/v1/orders"
LINES = st.lists(
    st.fixed_dictionaries({
        "cylinder_kg": st.sampled_from(CYLINDER_SIZES_KG),
        "quantity": st.integers(1, 500),
        "unit_price_twd": st.integers(0, 100_000),
    }),
    min_size=1,
    max_size=20,
)  # fmt: skip


@pytest.fixture
def customer(session: Session) -> Customer:
    return make_customer(session, address="臺北市信義區松高路 1 號")


def test_an_order_is_placed_with_all_that_was_said(app: Flask, client: FlaskClient, customer: Customer) -> None:
    wanted_on = (Resources.of(app).today() + timedelta(days=1)).isoformat()
    body = order_body(customer.id, delivery_address="後門", note="先打電話", wanted_on=wanted_on)
    response = client.post(PATH, json=body)
    placed = response.json
    assert response.status_code == 201
    assert response.location == f"{PATH}/{placed['id']}"
    assert placed == body | {
        "id": placed["id"],
        "status": "placed",
        "total_twd": 1700,
        "version": 1,
        "placed_at": placed["placed_at"],
    }


def test_an_order_tells_when_it_was_placed_in_utc(client: FlaskClient, customer: Customer) -> None:
    placed_at = datetime.fromisoformat(client.post(PATH, json=order_body(customer.id)).json["placed_at"])
    assert placed_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - placed_at) < timedelta(minutes=1)


def test_what_was_placed_is_read_back(client: FlaskClient, customer: Customer) -> None:
    placed = client.post(PATH, json=order_body(customer.id))
    assert client.get(placed.location).json == placed.json


def test_lines_keep_their_order(client: FlaskClient, customer: Customer) -> None:
    lines = [{"cylinder_kg": kg, "quantity": 1, "unit_price_twd": kg * 40} for kg in (20, 4, 50, 4, 16)]
    placed = client.post(PATH, json=order_body(customer.id, lines=lines))
    assert client.get(placed.location).json["lines"] == lines


@given(LINES)
def test_the_total_is_the_sum_of_all_lines(client: FlaskClient, customer: Customer, lines: list[dict]) -> None:
    placed = client.post(PATH, json=order_body(customer.id, lines=lines)).json
    assert placed["total_twd"] == sum(line["quantity"] * line["unit_price_twd"] for line in lines)


def test_the_largest_order_fits(client: FlaskClient, customer: Customer) -> None:
    lines = [{"cylinder_kg": 50, "quantity": 500, "unit_price_twd": 100_000}] * 20
    assert client.post(PATH, json=order_body(customer.id, lines=lines)).json["total_twd"] == 1_000_000_000


def test_it_goes_to_the_customers_address_unless_another_is_given(client: FlaskClient, customer: Customer) -> None:
    assert client.post(PATH, json=order_body(customer.id)).json["delivery_address"] == "臺北市信義區松高路 1 號"


def test_an_order_of_nobody_is_refused_by_its_field(client: FlaskClient) -> None:
    response = client.post(PATH, json=order_body(999))
    assert response.status_code == 422
    assert response.json["errors"] == [{"field": "customer_id", "message": "there is no customer 999: create it first"}]


@pytest.mark.parametrize(("days", "status"), [(-1, 422), (0, 201), (366, 201), (367, 422)])
def test_the_wanted_day_is_today_or_within_a_year(
    app: Flask, client: FlaskClient, customer: Customer, days: int, status: int
) -> None:
    wanted_on = (Resources.of(app).today() + timedelta(days=days)).isoformat()
    response = client.post(PATH, json=order_body(customer.id, wanted_on=wanted_on))
    assert response.status_code == status
    if status == 422:
        assert wanted_on in response.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("utc", "day"), [("2026-05-01T15:59:59+00:00", "2026-05-01"), ("2026-05-01T16:00:00+00:00", "2026-05-02")]
)
def test_the_day_begins_in_taipei(app: Flask, monkeypatch: pytest.MonkeyPatch, utc: str, day: str) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromisoformat(utc).astimezone(tz)

    monkeypatch.setattr("luckygas.resources.datetime", Clock)
    assert Resources.of(app).today().isoformat() == day


def test_orders_are_listed_by_customer_and_status(client: FlaskClient, session: Session, customer: Customer) -> None:
    mine = make_order(session, customer).id
    other = make_order(session).id
    assert [item["id"] for item in client.get(PATH).json["items"]] == [other, mine]
    for query in (f"customer_id={customer.id}", f"customer_id={customer.id}&status=placed"):
        assert [item["id"] for item in client.get(f"{PATH}?{query}").json["items"]] == [mine]
    assert len(client.get(f"{PATH}?status=placed").json["items"]) == 2
