import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from factories import customer_body, make_customer

PATH = "/api/v1/customers"


def found(client: FlaskClient, **query: str) -> list[int]:
    return [item["id"] for item in client.get(PATH, query_string=query).json["items"]]


def test_customers_are_found_by_the_end_of_either_number(client: FlaskClient, session: Session) -> None:
    mobile = make_customer(session, mobile="0911000678").id
    landline = make_customer(session, landline="02-2333-4678").id
    make_customer(session, mobile="0911678000")
    assert found(client, phone_ends="678") == [landline, mobile]
    assert found(client, phone_ends="0678") == [mobile]


@pytest.mark.parametrize(
    "fragment", ["信義", "義路二段19", "信義路2段", "台北市大安", "大安區 信義路", "194號３樓", "194 號 3樓", "臺北"]
)
def test_customers_are_found_by_part_of_an_address_however_it_is_written(
    client: FlaskClient, session: Session, fragment: str
) -> None:
    wanted = make_customer(session, address="臺北市大安區信義路二段194號3樓").id
    make_customer(session, address="高雄市苓雅區路信義號")
    found_ids = found(client, address=fragment)
    assert wanted in found_ids
    assert len(found_ids) == (2 if fragment == "信義" else 1)


def test_further_addresses_count_and_a_customer_is_found_once(client: FlaskClient, session: Session) -> None:
    places = [{"label": str(number), "address": f"臺中市西屯區{number}號"} for number in range(3)]
    wanted = make_customer(session, address="臺中市西屯區總店", further_addresses=places).id
    others = [make_customer(session, further_addresses=places).id for _ in range(2)]
    assert found(client, address="西屯") == [*others[::-1], wanted]
    page = client.get(PATH, query_string={"address": "西屯", "limit": 2}).json
    assert [item["id"] for item in page["items"]] == others[::-1]
    rest = client.get(PATH, query_string={"address": "西屯", "limit": 2, "cursor": page["next_cursor"]}).json
    assert [item["id"] for item in rest["items"]] == [wanted]
    assert rest["next_cursor"] is None


def test_all_that_is_asked_for_must_hold(client: FlaskClient, session: Session) -> None:
    wanted = make_customer(session, mobile="0911000678", address="臺中市西屯區").id
    make_customer(session, mobile="0911000679", address="臺中市西屯區")
    assert found(client, address="西屯", phone_ends="678") == [wanted]


@pytest.mark.parametrize("query", [{"address": "中"}, {"phone_ends": "12"}, {"phone_ends": "12a"}])
def test_what_is_too_short_to_mean_anything_is_refused(client: FlaskClient, query: dict) -> None:
    assert client.get(PATH, query_string=query).status_code == 422


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("reverse(mobile) LIKE '876%'", "customers_mobile_reversed_idx"),
        ("address_pairs(address) @> address_pairs('民生')", "customers_address_pairs_idx"),
    ],
)
def test_the_search_has_an_index(session: Session, condition: str, index: str) -> None:
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = session.scalars(text(f"EXPLAIN SELECT id FROM customers WHERE {condition}"))  # noqa: S608
    assert any(index in line for line in plan)


def test_a_deposit_is_paid_in_and_given_back(client: FlaskClient) -> None:
    place = client.post(PATH, json=customer_body()).location + "/deposits"
    for amount in (1500, 3000, -1500):
        assert client.post(place, json={"amount_twd": amount, "note": "20 公斤"}).status_code == 201
    listed = client.get(place).json
    assert [item["amount_twd"] for item in listed["items"]] == [-1500, 3000, 1500]
    assert listed["held_twd"] == 3000
    assert listed["items"][0]["by"].startswith("key:")


def test_no_more_goes_back_than_is_held(client: FlaskClient) -> None:
    place = client.post(PATH, json=customer_body()).location + "/deposits"
    client.post(place, json={"amount_twd": 1000})
    refused = client.post(place, json={"amount_twd": -1001})
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    assert client.post(place, json={"amount_twd": 0}).status_code == 422
    assert client.get(place).json["held_twd"] == 1000
