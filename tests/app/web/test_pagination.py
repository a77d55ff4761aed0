import base64
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from factories import make_customer, make_order
from luckygas.errors import Invalid
from luckygas.web.addresses import LARGEST_ID
from luckygas.web.pagination import decode, encode

ORDERS = "/api/v1/orders"
IDS = st.integers(1, LARGEST_ID)
SCOPES = st.binary(min_size=4, max_size=4)


def pages(client: FlaskClient, path: str, **query: object) -> Iterator[list[int]]:
    """Walk through a list as a caller would, yielding each page's ids."""
    cursor = {}
    while cursor is not None:
        body = client.get(path, query_string=query | cursor).json
        yield [item["id"] for item in body["items"]]
        cursor = {"cursor": body["next_cursor"]} if body["next_cursor"] else None


@given(IDS, SCOPES)
def test_a_cursor_leads_back_to_its_id(last_id: int, scope: bytes) -> None:
    assert decode(encode(last_id, scope), scope) == last_id


@given(IDS, SCOPES, SCOPES)
def test_a_cursor_of_another_list_is_refused(last_id: int, scope: bytes, other: bytes) -> None:
    if scope != other:
        with pytest.raises(Invalid):
            decode(encode(last_id, scope), other)


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()), SCOPES)
def test_nonsense_is_refused_like_any_other_field(text: str, scope: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        decode(text, scope)
    assert [error.field for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize("last_id", [0, LARGEST_ID + 1, 2**64 - 1])
def test_a_forged_cursor_cannot_overflow_the_database(last_id: int) -> None:
    with pytest.raises(Invalid):
        decode(encode(last_id, b"abcd"), b"abcd")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 11])
def test_a_walk_sees_every_row_once_newest_first(client: FlaskClient, session: Session, count: int) -> None:
    customer = make_customer(session)
    ids = [make_order(session, customer).id for _ in range(count)]
    walked = list(pages(client, ORDERS, limit=5))
    assert [row for page in walked for row in page] == sorted(ids, reverse=True)
    assert len(walked) == max(1, -(-count // 5)), "no empty page may follow the last row"


def test_rows_that_arrive_during_a_walk_neither_repeat_nor_hide_others(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    ids = [make_order(session, customer).id for _ in range(9)]
    seen = []
    for page in pages(client, ORDERS, limit=2):
        seen += page
        make_order(session, customer)
    assert seen == sorted(ids, reverse=True)


def test_a_walk_keeps_its_filters(client: FlaskClient, session: Session) -> None:
    mine, other = make_customer(session), make_customer(session)
    orders = [make_order(session, customer).id for _ in range(5) for customer in (mine, other)]
    walked = [row for page in pages(client, ORDERS, limit=2, customer_id=mine.id) for row in page]
    assert walked == orders[-2::-2]


def test_a_cursor_with_other_filters_is_refused(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    make_order(session, customer)
    make_order(session, customer)
    cursor = client.get(f"{ORDERS}?limit=1").json["next_cursor"]
    for path in (f"{ORDERS}?customer_id={customer.id}&cursor={cursor}", f"/api/v1/customers?cursor={cursor}"):
        response = client.get(path)
        assert response.status_code == 422
        assert response.json["errors"] == [
            {"field": "cursor", "message": "made for other filters: start again without it"}
        ]


def test_the_page_size_may_change_during_a_walk(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    ids = [make_order(session, customer).id for _ in range(4)]
    cursor = client.get(f"{ORDERS}?limit=1").json["next_cursor"]
    rest = client.get(f"{ORDERS}?limit=3&cursor={cursor}").json
    assert [item["id"] for item in rest["items"]] == ids[2::-1]
    assert rest["next_cursor"] is None


def test_a_page_has_fifty_items_unless_asked_otherwise(client: FlaskClient, session: Session) -> None:
    for _ in range(51):
        make_customer(session)
    assert len(client.get("/api/v1/customers").json["items"]) == 50
