from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import customer_body, make_customer

PATH = "/api/v1/customers"


def test_a_customer_is_created_with_everything_said_about_them(client: FlaskClient) -> None:
    body = {
        "kind": "restaurant",
        "name": " 阿明小吃店 ",
        "mobile": "+886 912-345-678",
        "landline": "(02) 2553-1234",
        "tax_number": " 04595257",
        "address": "臺北市大同區民生西路 45 號",
        "further_addresses": [{"label": "二店", "address": "臺北市大同區寧夏路 8 號"}],
        "usual_cylinders": [{"cylinder_kg": 16, "quantity": 1}, {"cylinder_kg": 20, "quantity": 2}],
        "note": "後門送貨",
    }
    response = client.post(PATH, json=body)
    created = response.json
    assert response.status_code == 201
    assert response.location == f"{PATH}/{created['id']}"
    assert created == body | {
        "id": created["id"],
        "name": "阿明小吃店",
        "mobile": "0912345678",
        "landline": "0225531234",
        "tax_number": "04595257",
        "version": 1,
        "created_at": created["created_at"],
    }
    assert datetime.fromisoformat(created["created_at"]).utcoffset() == timedelta(0)


def test_what_was_created_is_read_back(client: FlaskClient) -> None:
    created = client.post(PATH, json=customer_body())
    assert client.get(created.location).json == created.json


def test_what_may_be_left_out_is_null(client: FlaskClient) -> None:
    created = client.post(PATH, json=customer_body()).json
    assert [created[name] for name in ("landline", "tax_number", "note")] == [None] * 3
    assert created["further_addresses"] == created["usual_cylinders"] == []


def test_a_size_stands_once_among_the_usual_cylinders(client: FlaskClient) -> None:
    response = client.post(PATH, json=customer_body(usual_cylinders=[{"cylinder_kg": 20, "quantity": 1}] * 2))
    assert response.status_code == 422


def test_a_change_replaces_all_and_raises_the_version(client: FlaskClient) -> None:
    places = [{"label": name, "address": f"高雄市{name}"} for name in ("一店", "二店")]
    usual = [{"cylinder_kg": 20, "quantity": 2}]
    created = client.post(PATH, json=customer_body(further_addresses=places, usual_cylinders=usual))
    body = customer_body(further_addresses=places[1:], usual_cylinders=usual, note="新")
    changed = client.put(created.location, json=body, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.json == client.get(created.location).json
    assert changed.json == created.json | body | {"version": 2}


def test_who_saw_an_older_version_overwrites_nothing(client: FlaskClient) -> None:
    place = client.post(PATH, json=customer_body()).location
    seen = {"If-Match": client.get(place).headers["ETag"]}
    assert client.put(place, json=customer_body(name="第一"), headers=seen).status_code == 200
    second = client.put(place, json=customer_body(name="第二"), headers=seen)
    assert (second.status_code, second.json["code"]) == (412, "edited_meanwhile")
    assert "at version 2, not 1" in second.json["detail"]
    assert client.get(place).json["name"] == "第一"


def test_chinese_travels_as_it_is_written(client: FlaskClient) -> None:
    assert "民生西路" in client.post(PATH, json=customer_body()).get_data(as_text=True)


def test_a_customer_who_does_not_exist_is_not_found(client: FlaskClient) -> None:
    response = client.get(f"{PATH}/999")
    assert response.status_code == 404
    assert response.json["detail"] == "there is no customer 999"


@pytest.mark.parametrize("written", ["0912345678", "0912-345-678", "+886912345678"])
def test_customers_are_found_by_their_number_however_it_is_written(
    client: FlaskClient, session: Session, written: str
) -> None:
    family = [make_customer(session, mobile="0912345678").id for _ in range(2)]
    make_customer(session, mobile="0987654321")
    found = client.get(PATH, query_string={"mobile": written}).json
    assert [item["id"] for item in found["items"]] == family[::-1]


def test_a_number_that_nobody_has_finds_nobody(client: FlaskClient, session: Session) -> None:
    make_customer(session)
    assert client.get(f"{PATH}?mobile=0900999999").json == {"items": [], "next_cursor": None}
