import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

import partners as stub
from factories import make_customer, make_cylinder, make_driver, make_key, make_order
from luckygas.access import Role
from luckygas.clients import Clients
from luckygas.clients.http import Away
from luckygas.cylinders import service as cylinders
from luckygas.deliveries.jobs import ON_ITS_WAY, announce, sequence
from luckygas.drivers.models import Driver
from luckygas.orders.models import Order
from luckygas.resources import Resources

PATH = "/api/v1/routes"


@pytest.fixture
def driver(session: Session) -> Driver:
    return make_driver(session)


@pytest.fixture
def plan(app: Flask, client: FlaskClient, driver: Driver) -> Callable[..., TestResponse]:
    today = str(Resources.of(app).today())
    return lambda *orders, **changes: client.post(
        PATH, json={"driver_id": driver.id, "day": today, "order_ids": [order.id for order in orders]} | changes
    )


@pytest.fixture
def loaded(app: Flask, session: Session, driver: Driver) -> Callable[[int], list[str]]:
    """Put full cylinders of 20 kg on the driver's truck."""

    def load(count: int) -> list[str]:
        serials = [make_cylinder(session).serial for _ in range(count)]
        today = Resources.of(app).today()
        cylinders.load(session, driver_id=driver.id, serials=serials, by="tests", today=today)
        return serials

    return load


def deliver(client: FlaskClient, route: dict, order: Order, *serials: str, **more: object) -> TestResponse:
    body = {"delivered": list(serials), "received_by": "王太太"} | more
    return client.post(f"{PATH}/{route['id']}/stops/{order.id}/deliver", json=body)


def status(client: FlaskClient, order: Order) -> str:
    return client.get(f"/api/v1/orders/{order.id}").json["status"]


def test_a_day_from_the_plan_to_the_last_customer(client: FlaskClient, session: Session, plan, loaded) -> None:
    at_home, away = make_order(session), make_order(session)
    route = plan(at_home, away).json
    assert (route["status"], route["sequenced_by"], len(route["stops"])) == ("planned", "plain", 2)
    assert status(client, at_home) == "scheduled"
    assert client.post(f"{PATH}/{route['id']}/start").json["status"] == "out"
    assert status(client, at_home) == "out"
    first = loaded(2)
    delivered = deliver(client, route, at_home, *first).json
    stop = next(stop for stop in delivered["stops"] if stop["order_id"] == at_home.id)
    assert (stop["outcome"], stop["received_by"]) == ("delivered", "王太太")
    done = client.post(f"{PATH}/{route['id']}/stops/{away.id}/fail", json={"reason": "沒有人在家"}).json
    assert done["status"] == "done"
    assert (status(client, at_home), status(client, away)) == ("delivered", "placed")
    assert plan(away).status_code == 201
    assert [item["id"] for item in client.get(f"{PATH}?driver_id={route['driver_id']}").json["items"]][-1] == route[
        "id"
    ]


def test_full_ones_go_and_empty_ones_come_back(client: FlaskClient, session: Session, plan, loaded, driver) -> None:
    customer = make_customer(session)
    earlier, later = make_order(session, customer), make_order(session, customer)
    route = plan(earlier, later).json
    client.post(f"{PATH}/{route['id']}/start")
    first, second = loaded(2), loaded(2)
    assert deliver(client, route, earlier, *first).status_code == 200
    assert deliver(client, route, later, *second, returned=first).status_code == 200
    stock = {
        (item["place"], item["state"]): item["count"] for item in client.get("/api/v1/cylinders/stock").json["items"]
    }
    assert stock == {("customer", "full"): 2, ("truck", "empty"): 2}
    moves = client.get(f"/api/v1/cylinders?serial={first[0]}").json["items"][0]
    assert (moves["driver_id"], moves["is_full"]) == (driver.id, False)


def test_what_is_handed_over_is_what_was_ordered(client: FlaskClient, session: Session, plan, loaded) -> None:
    order = make_order(session)
    route = plan(order).json
    client.post(f"{PATH}/{route['id']}/start")
    (one,) = loaded(1)
    refused = deliver(client, route, order, one)
    assert refused.json["errors"] == [{"field": "delivered", "message": "1 x 20 kg is not what was ordered: 2 x 20 kg"}]
    assert status(client, order) == "out"
    assert client.get(f"/api/v1/cylinders?serial={one}").json["items"][0]["place"] == "truck"


def test_two_drivers_cannot_deliver_the_same_cylinder(client: FlaskClient, session: Session, plan, loaded) -> None:
    mine, other = make_order(session), make_order(session)
    serials = loaded(2)
    first, second = plan(mine).json, plan(other, driver_id=make_driver(session).id).json
    for route in (first, second):
        client.post(f"{PATH}/{route['id']}/start")
    assert deliver(client, first, mine, *serials).status_code == 200
    late = deliver(client, second, other, *serials)
    assert (late.status_code, late.json["code"]) == (409, "wrong_state")
    assert f"at customer {mine.customer_id}" in late.json["detail"]
    assert deliver(client, first, mine, *serials).status_code == 409


def test_a_truck_takes_what_it_can_carry(client: FlaskClient, session: Session, plan) -> None:
    heavy = make_order(session, lines=[{"cylinder_kg": 50, "quantity": 21, "unit_price_twd": 1}])
    refused = plan(heavy)
    assert "1050 kg" in refused.json["detail"]
    assert status(client, heavy) == "placed"


def test_an_order_is_on_one_route_and_a_driver_has_one_at_a_time(session: Session, plan) -> None:
    order = make_order(session)
    assert plan(order).status_code == 201
    assert plan(make_order(session)).status_code == 409
    assert plan(order, driver_id=make_driver(session).id).status_code == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"driver_id": 999_999}, "driver_id"), ({"day": "2020-01-01"}, "day"), ({"order_ids": [999_999]}, "order_ids")],
)
def test_what_cannot_be_planned_is_named(session: Session, plan, changes: dict, field: str) -> None:
    assert plan(make_order(session), **changes).json["errors"][0]["field"] == field


def test_a_cancelled_order_stays_on_the_truck(client: FlaskClient, session: Session, plan, loaded) -> None:
    order = make_order(session)
    route = plan(order).json
    client.post(f"/api/v1/orders/{order.id}/cancel", json={"reason": "客人出國"}, headers={"If-Match": '"2"'})
    client.post(f"{PATH}/{route['id']}/start")
    assert deliver(client, route, order, *loaded(2)).status_code == 409
    assert client.post(f"{PATH}/{route['id']}/stops/{order.id}/fail", json={"reason": "取消"}).json["status"] == "done"
    assert status(client, order) == "cancelled"


def test_a_driver_acts_on_their_own_route_alone(
    client_as: Callable[[Role], FlaskClient], session: Session, plan, driver: Driver
) -> None:
    route = plan(make_order(session)).json
    theirs = client_as(Role.DRIVER)
    assert theirs.post(f"{PATH}/{route['id']}/start").status_code == 403
    driver.principal = f"key:{theirs.environ_base['HTTP_AUTHORIZATION'].split('_')[2]}"
    session.flush()
    session.commit()
    assert theirs.post(f"{PATH}/{route['id']}/start").status_code == 200


def test_a_driver_whose_key_is_rotated_goes_on_with_both(
    client: FlaskClient, session: Session, plan, loaded, driver: Driver
) -> None:
    keys = [make_key(session, role=Role.DRIVER).reveal()]
    driver.principal = f"key:{keys[0].split('_')[2]}"
    session.commit()
    orders = [make_order(session) for _ in range(3)]
    route = plan(*orders).json
    serials = loaded(6)
    client.post(f"{PATH}/{route['id']}/start")
    for _ in range(2):
        keys.append(client.post(f"/api/v1/keys/{keys[-1].split('_')[2]}/rotation", json={}).json["secret"])
    for key, order in zip(keys, orders, strict=True):
        theirs = client.application.test_client()
        theirs.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        assert deliver(theirs, route, order, serials.pop(), serials.pop()).status_code == 200
    body = {"name": "林大哥", "mobile": "0912345678", "plate": "R-1", "capacity_kg": 1000}
    taken = client.post("/api/v1/drivers", json=body | {"principal": f"key:{keys[-1].split('_')[2]}"})
    assert [error["field"] for error in taken.json["errors"]] == ["principal"]


# --- the planner with the map ---


@pytest.fixture
def held(app: Flask) -> Callable[..., SimpleNamespace]:
    resources = Resources.of(app)
    settings = dataclasses.replace(resources.settings, depot_address="臺北市大安區和平路1號")
    return lambda accounts: SimpleNamespace(settings=settings, clients=Clients.create(accounts, resources.redis))


def test_google_orders_the_stops_when_it_answers(client: FlaskClient, session: Session, plan, held) -> None:
    placed = [make_order(session) for _ in range(3)]
    route = plan(*placed).json
    assert session.scalar(text("SELECT args->>'route_id' FROM procrastinate_jobs")) == str(route["id"])
    with stub.running() as partners:
        resources = held(partners.configuration)
        resources.clients.google.breaker.close()
        partners.mode = "500"
        with pytest.raises(Away):
            sequence(session, resources, route_id=route["id"])
        assert client.get(f"{PATH}/{route['id']}").json["sequenced_by"] == "plain"
        partners.mode = "ok"
        sequence(session, resources, route_id=route["id"])
        session.commit()
    found = client.get(f"{PATH}/{route['id']}").json
    assert found["sequenced_by"] == "google"
    assert [stop["order_id"] for stop in found["stops"]] == [order.id for order in reversed(placed)]


def test_without_google_the_plain_sequence_holds(client: FlaskClient, session: Session, plan, held) -> None:
    route = plan(make_order(session), make_order(session)).json
    sequence(session, held({}), route_id=route["id"])
    assert client.get(f"{PATH}/{route['id']}").json == route


# --- the text that says that it is on its way ---


def test_who_waits_is_told_once_and_only_while_it_is_on_its_way(
    client: FlaskClient, session: Session, plan, held
) -> None:
    first, second = make_order(session), make_order(session)
    route = plan(first, second).json
    client.post(f"{PATH}/{route['id']}/start")
    session.expire_all()
    asked = session.scalars(
        text("SELECT args - 'traceparent' FROM procrastinate_jobs WHERE task_name = 'deliveries.announce'")
    ).all()
    assert sorted(one["order_id"] for one in asked) == [first.id, second.id]
    announce(session, held({}), **asked[0])  # without a sender
    with stub.running() as partners:
        resources = held(partners.configuration)
        resources.clients.sms.breaker.close()
        announce(session, resources, route_id=route["id"], order_id=first.id)
        mobile = client.get(f"/api/v1/customers/{first.customer_id}").json["mobile"]
        ((_, sent),) = partners.requests
        assert (sent["dstaddr"], sent["smbody"], sent["clientid"]) == (
            mobile,
            ON_ITS_WAY,
            f"out-{route['id']}-{first.id}",
        )
        client.post(f"{PATH}/{route['id']}/stops/{second.id}/fail", json={"reason": "沒有人在家"})
        session.expire_all()
        announce(session, resources, route_id=route["id"], order_id=second.id)
        assert len(partners.requests) == 1
