from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from factories import make_cylinder, make_driver
from luckygas.resources import Resources

PATH = "/api/v1/cylinders"


@pytest.fixture
def driver(session: Session) -> int:
    return make_driver(session).id


def post(client: FlaskClient, act: str, *serials: str, **more: int) -> TestResponse:
    return client.post(f"{PATH}/{act}", json={"serials": list(serials)} | more)


def test_a_cylinder_joins_the_stock_once(client: FlaskClient) -> None:
    body = {"serial": "LG20-000123", "cylinder_kg": 20, "inspected_until": "2031-06-30", "is_full": False}
    created = client.post(PATH, json=body)
    assert created.status_code == 201
    assert created.json.items() >= (body | {"place": "depot", "driver_id": None, "customer_id": None}).items()
    assert client.get(created.location).json == created.json
    again = client.post(PATH, json=body)
    assert again.json["errors"] == [{"field": "serial", "message": "LG20-000123 is registered already"}]


def test_it_goes_on_a_truck_and_comes_back_and_all_moves_are_kept(
    client: FlaskClient, session: Session, driver: int
) -> None:
    row = make_cylinder(session)
    assert post(client, "load", row.serial, driver_id=driver).json["items"][0]["driver_id"] == driver
    assert post(client, "unload", row.serial, driver_id=driver).json["items"][0]["place"] == "depot"
    moves = client.get(f"{PATH}/{row.id}/moves").json["items"]
    assert [move["place"] for move in moves] == ["depot", "truck", "depot"]


def test_what_is_elsewhere_is_not_moved_and_nothing_else_is(client: FlaskClient, session: Session, driver: int) -> None:
    here, gone = make_cylinder(session), make_cylinder(session)
    post(client, "load", gone.serial, driver_id=driver)
    refused = post(client, "load", here.serial, gone.serial, driver_id=make_driver(session).id)
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    assert f"{gone.serial} is on the truck of driver {driver}" in refused.json["detail"]
    assert client.get(f"{PATH}/{here.id}").json["place"] == "depot"


def test_unknown_and_repeated_serials_are_refused(client: FlaskClient, session: Session, driver: int) -> None:
    row = make_cylinder(session)
    assert post(client, "load", "LG-404", driver_id=driver).json["errors"][0]["field"] == "serials"
    assert post(client, "load", row.serial, row.serial, driver_id=driver).status_code == 422
    assert post(client, "load", row.serial, driver_id=999_999).json["errors"][0]["field"] == "driver_id"


def test_the_law_keeps_a_full_one_with_an_ended_inspection_off_the_truck(
    app: Flask, client: FlaskClient, session: Session, driver: int
) -> None:
    today = Resources.of(app).today()
    row = make_cylinder(session, inspected_until=today - timedelta(days=1))
    refused = post(client, "load", row.serial, driver_id=driver)
    assert refused.status_code == 409
    assert "inspection" in refused.json["detail"]
    place = f"{PATH}/{row.id}/inspection"
    assert client.put(place, json={"inspected_until": str(today - timedelta(days=1))}).status_code == 422
    assert client.put(place, json={"inspected_until": str(today)}).status_code == 200
    assert post(client, "load", row.serial, driver_id=driver).status_code == 200
    assert client.put(f"{PATH}/999999/inspection", json={"inspected_until": str(today)}).status_code == 404


def test_only_empty_ones_are_filled(client: FlaskClient, session: Session) -> None:
    row = make_cylinder(session, is_full=False)
    assert post(client, "refill", row.serial).json["items"][0]["is_full"] is True
    assert post(client, "refill", row.serial).status_code == 409


def test_cylinders_are_listed_by_what_is_asked_for(client: FlaskClient, session: Session, driver: int) -> None:
    first, second = make_cylinder(session), make_cylinder(session, inspected_until="2027-01-01")
    post(client, "load", first.serial, driver_id=driver)
    for query, wanted in (
        (f"serial={second.serial}", second),
        ("place=truck", first),
        (f"driver_id={driver}", first),
        ("inspected_before=2027-01-02", second),
    ):
        assert [item["id"] for item in client.get(f"{PATH}?{query}").json["items"]] == [wanted.id]


def test_the_stock_is_counted(client: FlaskClient, session: Session, driver: int) -> None:
    rows = [make_cylinder(session) for _ in range(3)]
    make_cylinder(session, cylinder_kg=50, is_full=False)
    post(client, "load", rows[0].serial, driver_id=driver)
    assert client.get(f"{PATH}/stock").json == {
        "items": [
            {"place": "depot", "cylinder_kg": 20, "state": "full", "count": 2},
            {"place": "depot", "cylinder_kg": 50, "state": "empty", "count": 1},
            {"place": "truck", "cylinder_kg": 20, "state": "full", "count": 1},
        ],
        "total": 4,
    }
