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
        "tax_number": " 04595257",
        "address": "臺北市大同區民生西路 45 號",
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
        "tax_number": "04595257",
        "created_at": created["created_at"],
    }
    assert datetime.fromisoformat(created["created_at"]).utcoffset() == timedelta(0)


def test_what_was_created_is_read_back(client: FlaskClient) -> None:
    created = client.post(PATH, json=customer_body())
    assert client.get(created.location).json == created.json


def test_what_may_be_left_out_is_null(client: FlaskClient) -> None:
    created = client.post(PATH, json=customer_body()).json
    assert created["tax_number"] is None
    assert created["note"] is None


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
