import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from factories import customer_body, make_customer, order_body
from luckygas.web.validation import shown

CUSTOMERS = "/api/v1/customers"
ORDERS = "/api/v1/orders"


def messages(response: Any) -> dict[str, str]:
    assert response.status_code == 422, response.json
    return {error["field"]: error["message"] for error in response.json["errors"]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF while parsing"),
        (b"{", "EOF while parsing"),
        (b'{"a": 1,}', "trailing comma"),
        (b"{'a': 1}", "key must be a string"),
        (b'{"a": "\xff"}', "invalid unicode"),
        (b'{"a": "\\ud800"}', "hex escape"),
        (b'{"a": "\x00"}', "control character"),
        (b"[" * 5000, "recursion limit"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number out of range"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason_and_the_place(
    client: FlaskClient, body: bytes, reason: str
) -> None:
    response = client.post(CUSTOMERS, data=body, content_type="application/json")
    assert response.status_code == 400
    assert reason in response.json["detail"]
    assert " at line 1 column " in response.json["detail"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_a_body_must_say_that_it_is_json(client: FlaskClient, content_type: str | None) -> None:
    response = client.post(CUSTOMERS, data=json.dumps(customer_body()), content_type=content_type)
    assert response.status_code == 415
    assert "Content-Type: application/json" in response.json["detail"]


def test_parameters_of_the_content_type_do_not_matter(client: FlaskClient) -> None:
    content_type = "Application/JSON; charset=utf-8"
    assert client.post(CUSTOMERS, data=json.dumps(customer_body()), content_type=content_type).status_code == 201


@pytest.mark.parametrize("body", [[], "text", 1, True, None])
def test_a_body_is_an_object(client: FlaskClient, body: object) -> None:
    response = client.post(CUSTOMERS, data=json.dumps(body), content_type="application/json")
    assert list(messages(response)) == ["body"]


def test_an_unknown_field_is_refused_with_those_that_exist(client: FlaskClient) -> None:
    response = client.post(CUSTOMERS, json=customer_body(phone="0912345678"))
    assert messages(response) == {
        "phone": "there is no such field: leave it out, or use one of kind, name, mobile, "
        "landline, tax_number, address, further_addresses, usual_cylinders, note"
    }


def test_an_unknown_field_of_a_line_is_refused_with_its_path(client: FlaskClient) -> None:
    body = order_body(1)
    body["lines"][0]["price"] = 850
    assert messages(client.post(ORDERS, json=body)) == {"lines.0.price": "there is no such field: leave it out"}


def test_all_refused_values_are_named_at_once(client: FlaskClient) -> None:
    found = messages(client.post(CUSTOMERS, json={"kind": "palace", "name": "", "mobile": "12", "note": 5}))
    assert set(found) == {"kind", "name", "mobile", "address", "note"}
    assert found["address"] == "it is missing: add it"
    assert found["kind"] == "Input should be 'household', 'shop' or 'restaurant', not \"palace\""


def test_a_flood_of_errors_is_cut(client: FlaskClient) -> None:
    assert len(messages(client.post(CUSTOMERS, json={f"x{number}": 1 for number in range(1000)}))) == 20


NOT_WHOLE = ["1.0", "1e0", '"1"', "true", "null", "1.5", "-1", "[1]", "{}", "NaN"]


@pytest.mark.parametrize("value", [*NOT_WHOLE, "0", "501", "9223372036854775808", "9" * 4000])
def test_a_quantity_is_a_whole_number_in_its_bounds(client: FlaskClient, value: str) -> None:
    body = json.dumps(order_body(1, lines=[{"cylinder_kg": 20, "quantity": "?", "unit_price_twd": 850}]))
    response = client.post(ORDERS, data=body.replace('"?"', value), content_type="application/json")
    assert list(messages(response)) == ["lines.0.quantity"]


@pytest.mark.parametrize("value", [*sorted({*NOT_WHOLE} - {"null"}), "100001", "9" * 4000])
def test_a_price_is_whole_twd_in_its_bounds(client: FlaskClient, value: str) -> None:
    body = json.dumps(order_body(1, lines=[{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": "?"}]))
    response = client.post(ORDERS, data=body.replace('"?"', value), content_type="application/json")
    assert list(messages(response)) == ["lines.0.unit_price_twd"]


@pytest.mark.parametrize("value", ["4.0", '"20"', "true", "0", "5", "12", "-4", "null"])
def test_a_cylinder_has_one_of_the_five_sizes(client: FlaskClient, value: str) -> None:
    body = json.dumps(order_body(1, lines=[{"cylinder_kg": "?", "quantity": 1, "unit_price_twd": 1}]))
    response = client.post(ORDERS, data=body.replace('"?"', value), content_type="application/json")
    assert list(messages(response)) == ["lines.0.cylinder_kg"]


@pytest.mark.parametrize("value", [0, -1, 2**63, 10**30, "1", 1.0, True, None])
def test_a_customer_id_is_one_that_could_exist(client: FlaskClient, value: object) -> None:
    assert list(messages(client.post(ORDERS, json=order_body(1) | {"customer_id": value}))) == ["customer_id"]


@pytest.mark.parametrize(
    "value", ["2026-13-01", "2026-02-30", "01/02/2026", "2026-01-01T00:00:00", "tomorrow", 20300101, ""]
)
def test_a_day_is_written_as_in_iso_8601(client: FlaskClient, value: object) -> None:
    assert list(messages(client.post(ORDERS, json=order_body(1, wanted_on=value)))) == ["wanted_on"]


@pytest.mark.parametrize("lines", [[], [order_body(1)["lines"][0]] * 21, {}, None])
def test_an_order_has_1_to_20_lines(client: FlaskClient, lines: object) -> None:
    assert list(messages(client.post(ORDERS, json=order_body(1, lines=lines)))) == ["lines"]


@pytest.mark.parametrize("field", ["name", "address", "note"])
@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x85", "\r"])
def test_control_characters_are_refused_by_their_number(client: FlaskClient, field: str, character: str) -> None:
    found = messages(client.post(CUSTOMERS, json=customer_body() | {field: f"a{character}b"}))
    assert f"U+{ord(character):04X}" in found[field]


def test_only_a_note_may_have_several_lines(client: FlaskClient) -> None:
    assert client.post(CUSTOMERS, json=customer_body(note="一樓\n按電鈴")).json["note"] == "一樓\n按電鈴"
    assert list(messages(client.post(CUSTOMERS, json=customer_body(address="一樓\n二樓")))) == ["address"]


@pytest.mark.parametrize(("field", "most"), [("name", 100), ("address", 200), ("note", 1000)])
def test_text_has_a_greatest_length_and_is_not_blank(client: FlaskClient, field: str, most: int) -> None:
    assert client.post(CUSTOMERS, json=customer_body() | {field: "瓦" * most}).status_code == 201
    assert list(messages(client.post(CUSTOMERS, json=customer_body() | {field: "瓦" * (most + 1)}))) == [field]
    assert list(messages(client.post(CUSTOMERS, json=customer_body() | {field: " \u3000 "}))) == [field]


@pytest.mark.parametrize("value", ["0912", "02-2345-6789", "0912345678" * 5, 912345678, None])
def test_a_mobile_number_is_checked(client: FlaskClient, value: object) -> None:
    assert list(messages(client.post(CUSTOMERS, json=customer_body(mobile=value)))) == ["mobile"]


@pytest.mark.parametrize("value", ["04595258", "1234567", 4595257, ""])
def test_a_tax_number_is_checked(client: FlaskClient, value: object) -> None:
    assert list(messages(client.post(CUSTOMERS, json=customer_body(tax_number=value)))) == ["tax_number"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=%EF%BC%91", "limit"),
        ("limit=1_0", "limit"),
        ("limit=1&limit=2", "limit"),
        ("customer_id=0", "customer_id"),
        ("customer_id=9223372036854775808", "customer_id"),
        (f"customer_id={'9' * 3000}", "customer_id"),
        ("customer_id=%00", "customer_id"),
        ("status=lost", "status"),
        ("cursor=%FF", "cursor"),
        ("colour=red", "colour"),
    ],
)
def test_a_query_is_checked_like_a_body(client: FlaskClient, query: str, field: str) -> None:
    assert list(messages(client.get(f"{ORDERS}?{query}"))) == [field]


def test_a_message_shows_the_value_but_not_all_of_it(client: FlaskClient) -> None:
    found = messages(client.get(f"{CUSTOMERS}?mobile={'9' * 30}"))
    assert found["mobile"].startswith(f'"{"9" * 30}" is not a Taiwanese mobile number')
    assert len(shown("瓦" * 10_000)) == 61


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_every_value_can_be_shown(value: object) -> None:
    assert 0 < len(shown(value)) <= 61


def test_even_a_number_that_python_does_not_print_can_be_shown() -> None:
    assert shown(10**5000) == "a number of that size"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(changes=st.dictionaries(st.sampled_from([*customer_body(), "note", "tax_number", "x"]), JSON))
def test_no_customer_whatsoever_breaks_the_service(client: FlaskClient, changes: dict[str, Any]) -> None:
    body = json.dumps(customer_body() | changes)
    assert client.post(CUSTOMERS, data=body, content_type="application/json").status_code in {201, 422}


@given(line=st.dictionaries(st.sampled_from(["cylinder_kg", "quantity", "unit_price_twd", "x"]), JSON), changes=JSON)
def test_no_order_whatsoever_breaks_the_service(
    client: FlaskClient, session: Session, line: dict[str, Any], changes: Any
) -> None:
    body = order_body(make_customer(session).id, note=changes)
    body["lines"][0] |= line
    response = client.post(ORDERS, data=json.dumps(body), content_type="application/json")
    assert response.status_code in {201, 422}
