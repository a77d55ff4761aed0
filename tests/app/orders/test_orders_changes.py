from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from factories import make_order, order_body
from luckygas.errors import WrongState
from luckygas.orders import service
from luckygas.orders.models import NEXT, Order, OrderStatus

PATH = "/api/v1/orders"


@pytest.fixture
def order(session: Session) -> Order:
    return make_order(session)


def change_body(**changes: object) -> dict:
    lines = [{"cylinder_kg": 16, "quantity": 3, "unit_price_twd": 700}]
    return {"lines": lines, "delivery_address": "新地址", "note": None, "wanted_on": None} | changes


def seen(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


def test_an_order_is_changed_as_a_whole_and_the_change_is_kept(client: FlaskClient, order: Order) -> None:
    changed = client.put(f"{PATH}/{order.id}", json=change_body(), headers=seen(1))
    assert changed.status_code == 200
    assert changed.json.items() >= (change_body() | {"version": 2, "total_twd": 2100, "status": "placed"}).items()
    events = client.get(f"{PATH}/{order.id}/events").json["items"]
    assert [(event["status"], event["version"], event["note"]) for event in events] == [
        ("placed", 2, "changed"),
        ("placed", 1, None),
    ]
    assert events[0]["by"].startswith("key:")


def test_of_two_dispatchers_the_second_is_told(client: FlaskClient, order: Order) -> None:
    assert client.put(f"{PATH}/{order.id}", json=change_body(), headers=seen(1)).status_code == 200
    late = client.put(f"{PATH}/{order.id}", json=change_body(delivery_address="另一個"), headers=seen(1))
    assert (late.status_code, late.json["code"]) == (412, "edited_meanwhile")
    late = client.post(f"{PATH}/{order.id}/cancel", json={"reason": "客人出國"}, headers=seen(1))
    assert (late.status_code, late.json["code"]) == (412, "edited_meanwhile")
    assert client.get(f"{PATH}/{order.id}").json["delivery_address"] == "新地址"


def test_the_tag_of_what_was_read_will_do_also_when_it_was_compressed(client: FlaskClient, order: Order) -> None:
    for form in ("{}", "W/{}", '"77", {}'):
        tag = client.get(f"{PATH}/{order.id}").headers["ETag"]
        changed = client.put(f"{PATH}/{order.id}", json=change_body(), headers={"If-Match": form.format(tag)})
        assert changed.status_code == 200


@pytest.mark.parametrize("header", [None, "", "*"])
def test_who_does_not_say_what_they_saw_is_asked_to(client: FlaskClient, order: Order, header: str | None) -> None:
    headers = {} if header is None else {"If-Match": header}
    refused = client.put(f"{PATH}/{order.id}", json=change_body(), headers=headers)
    assert (refused.status_code, refused.json["code"]) == (428, "version_missing")
    assert "If-Match" in refused.json["detail"]


def test_a_tag_of_something_else_matches_nothing(client: FlaskClient, order: Order) -> None:
    for tag in ('"x"', '"1-"', '"1 "', '"99999999999"'):
        assert client.put(f"{PATH}/{order.id}", json=change_body(), headers={"If-Match": tag}).status_code == 412


def test_a_change_that_is_sent_twice_under_one_key_is_no_second_one(client: FlaskClient, order: Order) -> None:
    headers = seen(1) | {"Idempotency-Key": "k"}
    first, second = (client.post(f"{PATH}/{order.id}/cancel", json={"reason": "重複"}, headers=headers) for _ in "12")
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["Idempotency-Replayed"] == "true"


def test_an_order_is_cancelled_with_its_reason_and_stays_so(client: FlaskClient, order: Order) -> None:
    cancelled = client.post(f"{PATH}/{order.id}/cancel", json={"reason": "客人出國"}, headers=seen(1))
    assert cancelled.json["status"] == "cancelled"
    assert client.get(f"{PATH}/{order.id}/events").json["items"][0]["note"] == "客人出國"
    again = client.post(f"{PATH}/{order.id}/cancel", json={"reason": "再一次"}, headers=seen(2))
    assert (again.status_code, again.json["code"]) == (409, "wrong_state")


def test_what_is_out_is_not_changed_any_more(client: FlaskClient, session: Session, order: Order) -> None:
    for to in (OrderStatus.SCHEDULED, OrderStatus.OUT):
        service.move(session, order_id=order.id, to=to, by="tests")
    refused = client.put(f"{PATH}/{order.id}", json=change_body(), headers=seen(3))
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")


@given(st.lists(st.sampled_from(OrderStatus), max_size=8))
def test_only_what_follows_can_follow_and_all_of_it_is_kept(session: Session, wishes: list[OrderStatus]) -> None:
    order = make_order(session)
    happened = [OrderStatus.PLACED]
    for wish in wishes:
        if wish in NEXT[happened[-1]]:
            service.move(session, order_id=order.id, to=wish, by="tests")
            happened.append(wish)
        else:
            with pytest.raises(WrongState):
                service.move(session, order_id=order.id, to=wish, by="tests")
    events = service.find_events(session, order_id=order.id, before_id=2**63 - 1, count=99)
    assert [event.status for event in reversed(events)] == happened
    assert [event.version for event in reversed(events)] == list(range(1, len(happened) + 1))
    assert order.version == len(happened)


# --- prices ---


def price(client: FlaskClient, today: str, twd: int, kg: int = 20) -> int:
    body = {"cylinder_kg": kg, "unit_price_twd": twd, "valid_from": today}
    return client.post("/api/v1/prices", json=body).status_code


def test_a_line_without_a_price_has_todays_and_keeps_it(app, client: FlaskClient, order: Order) -> None:
    today = app.extensions["luckygas"].today()
    lines = [{"cylinder_kg": 20, "quantity": 2}]
    assert price(client, str(today), 800) == 201
    assert price(client, str(today + timedelta(days=365)), 999) == 201
    placed = client.post(PATH, json=order_body(order.customer_id, lines=lines))
    assert placed.json["lines"][0]["unit_price_twd"] == 800
    assert price(client, str(today), 820) == 201
    assert client.get(placed.location).json["total_twd"] == 1600
    assert client.post(PATH, json=order_body(order.customer_id, lines=lines)).json["total_twd"] == 1640
    listed = client.get("/api/v1/prices").json["items"]
    assert [item["unit_price_twd"] for item in listed] == [820, 999, 800]


def test_without_any_price_the_line_is_named(client: FlaskClient, order: Order) -> None:
    lines = [{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 1}, {"cylinder_kg": 50, "quantity": 1}]
    refused = client.post(PATH, json=order_body(order.customer_id, lines=lines))
    assert [error["field"] for error in refused.json["errors"]] == ["lines.1.unit_price_twd"]


def test_the_past_keeps_its_prices(client: FlaskClient) -> None:
    assert price(client, "2020-01-01", 1) == 422


def test_orders_of_a_day_are_listed(app, client: FlaskClient, order: Order) -> None:
    today = str(app.extensions["luckygas"].today())
    wanted = client.post(PATH, json=order_body(order.customer_id, wanted_on=today)).json["id"]
    assert [item["id"] for item in client.get(f"{PATH}?wanted_on={today}").json["items"]] == [wanted]
