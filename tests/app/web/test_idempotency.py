import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, PoolProxiedConnection, func, insert, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from factories import customer_body, make_customer, make_key, new_client, order_body
from luckygas.access import Role
from luckygas.accounts.keys import Key
from luckygas.customers.models import Customer
from luckygas.db.engine import TRANSACTION_BOUNDS
from luckygas.orders.models import Order
from luckygas.resources import Resources
from luckygas.web.idempotency import REMEMBERED, IdempotencyKey, fingerprint

ORDERS = "/api/v1/orders"


def count(session: Session, model: type) -> int:
    return session.scalar(select(func.count()).select_from(model))


@pytest.fixture
def body(session: Session) -> dict:
    return order_body(make_customer(session).id)


def test_the_same_request_is_answered_again_without_being_done_again(
    client: FlaskClient, session: Session, body: dict
) -> None:
    first, second = (client.post(ORDERS, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert first.location == second.location == f"{ORDERS}/{first.json['id']}"
    assert first.mimetype == second.mimetype
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert count(session, Order) == 1


def test_without_a_key_every_request_is_a_new_one(client: FlaskClient, session: Session, body: dict) -> None:
    for _ in range(2):
        assert client.post(ORDERS, json=body).status_code == 201
    assert count(session, Order) == 2


def test_another_key_is_another_request(client: FlaskClient, session: Session, body: dict) -> None:
    for key in ("a", "b"):
        client.post(ORDERS, json=body, headers={"Idempotency-Key": key})
    assert count(session, Order) == 2


def test_the_layout_of_the_json_does_not_matter(client: FlaskClient, session: Session, body: dict) -> None:
    for written in (json.dumps(body), json.dumps(dict(reversed(body.items())), indent=2)):
        headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
        assert client.post(ORDERS, data=written, headers=headers).status_code == 201
    assert count(session, Order) == 1


def test_a_key_for_another_body_is_refused(client: FlaskClient, session: Session, body: dict) -> None:
    client.post(ORDERS, json=body, headers={"Idempotency-Key": "k"})
    response = client.post(ORDERS, json=body | {"note": "two"}, headers={"Idempotency-Key": "k"})
    assert response.status_code == 409
    assert response.json["code"] == "idempotency_key_reused"
    assert "Retry-After" not in response.headers
    assert count(session, Order) == 1


def test_a_key_for_another_address_is_refused(client: FlaskClient, session: Session, body: dict) -> None:
    client.post(ORDERS, json=body, headers={"Idempotency-Key": "k"})
    response = client.post("/api/v1/customers", json=customer_body(), headers={"Idempotency-Key": "k"})
    assert response.status_code == 409
    assert count(session, Customer) == 1


def test_the_address_is_part_of_what_is_asked_for(app: Flask) -> None:
    digests = set()
    for method, path in (("POST", "/a"), ("POST", "/b"), ("PUT", "/a")):
        with app.test_request_context(path, method=method, json={}):
            digests.add(fingerprint())
    assert len(digests) == 3


def test_customers_are_created_once_as_well(client: FlaskClient, session: Session) -> None:
    body = customer_body()
    answers = [client.post("/api/v1/customers", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].data == answers[1].data
    assert count(session, Customer) == 1


def test_the_keys_of_two_principals_do_not_meet(
    client_as: Callable[[Role], FlaskClient], session: Session, body: dict
) -> None:
    for role in (Role.ADMIN, Role.DISPATCHER):
        response = client_as(role).post(ORDERS, json=body, headers={"Idempotency-Key": "k"})
        assert "Idempotency-Replayed" not in response.headers
    assert count(session, Order) == 2


def test_a_refused_request_leaves_its_key_free(client: FlaskClient, session: Session, body: dict) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post(ORDERS, json=body | {"customer_id": 2**62}, headers=headers).status_code == 422
    assert count(session, IdempotencyKey) == 0
    assert client.post(ORDERS, json=body, headers=headers).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "a b", "鑰匙", "a\x7f", "\x01"])
def test_a_malformed_key_is_refused(client: FlaskClient, session: Session, body: dict, key: str) -> None:
    response = client.post(ORDERS, json=body, headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert response.status_code == 400
    assert "1 to 255 visible ASCII characters" in response.json["detail"]
    assert count(session, Order) == 0


def test_a_key_of_the_greatest_length_is_taken(client: FlaskClient, body: dict) -> None:
    assert client.post(ORDERS, json=body, headers={"Idempotency-Key": "k" * 255}).status_code == 201


def test_keys_are_forgotten_after_a_day_when_others_come(client: FlaskClient, session: Session, body: dict) -> None:
    for key in ("old", "young"):
        client.post(ORDERS, json=body, headers={"Idempotency-Key": key})
    for key, age in (("old", REMEMBERED + timedelta(seconds=1)), ("young", REMEMBERED - timedelta(hours=1))):
        session.execute(update(IdempotencyKey).where(IdempotencyKey.key == key).values(created_at=func.now() - age))
    session.commit()
    client.post(ORDERS, json=body, headers={"Idempotency-Key": "new"})
    assert set(session.scalars(select(IdempotencyKey.key))) == {"young", "new"}


# --- with real threads and commits ---


@pytest.fixture
def key(committing_app: Flask) -> Key:
    """Return an API key that is committed."""
    with Resources.of(committing_app).sessions.begin() as session:
        return make_key(session)


@pytest.fixture
def send(committing_app: Flask, key: Key) -> Callable[[], TestResponse]:
    """Return a function that sends one order, always with the same key, over a connection of its own."""
    with Resources.of(committing_app).sessions.begin() as session:
        body = order_body(make_customer(session).id)
    headers = {"X-API-Key": key.reveal(), "Idempotency-Key": "race"}
    return lambda: committing_app.test_client().post(ORDERS, json=body, headers=headers)


@pytest.fixture
def first_request(committing_app: Flask, key: Key) -> Iterator[Connection]:
    """Claim the key as a request under way does: in a transaction that has not ended."""
    claim = insert(IdempotencyKey).values(principal=f"key:{key.id}", key="race", fingerprint=b"")
    with Resources.of(committing_app).engine.connect() as connection:
        connection.execute(claim)
        yield connection


def test_of_concurrent_first_requests_one_does_the_work_and_all_get_its_order(
    committing_app: Flask, send: Callable[[], TestResponse]
) -> None:
    threads = 5
    barrier = threading.Barrier(threads)

    def send_together() -> TestResponse:
        barrier.wait()
        return send()

    with ThreadPoolExecutor(threads) as pool:
        answers = [future.result() for future in [pool.submit(send_together) for _ in range(threads)]]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == threads - 1
    with Resources.of(committing_app).sessions() as session:
        assert count(session, Order) == 1


def test_who_comes_second_does_the_work_if_the_first_gives_up(
    first_request: Connection, send: Callable[[], TestResponse]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(send)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        first_request.rollback()
        answer = second.result(timeout=30)
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.usefixtures("first_request")
def test_who_waits_too_long_is_asked_to_come_again(
    send: Callable[[], TestResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRANSACTION_BOUNDS, "lock_timeout", "100ms")
    answer = send()
    assert answer.status_code == 409
    assert answer.json["code"] == "request_in_progress"
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("headers", "told"),
    [({}, (504, "outcome_unknown", None)), ({"Idempotency-Key": "k"}, (503, "unavailable", "2"))],
    ids=["without a key", "with a key"],
)
def test_whoever_cannot_know_whether_it_was_done_is_told_to_look_first(
    committing_app: Flask, monkeypatch: pytest.MonkeyPatch, headers: dict, told: tuple[int, str, str | None]
) -> None:
    held = Resources.of(committing_app)
    with held.sessions.begin() as session:
        body = order_body(make_customer(session).id)
    client = new_client(committing_app)
    commit = held.engine.dialect.do_commit

    def commit_and_go(connection: PoolProxiedConnection) -> None:
        commit(connection)
        connection.driver_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(held.engine.dialect, "do_commit", commit_and_go)
        answer = client.post(ORDERS, json=body, headers=headers)
    assert (answer.status_code, answer.json["code"], answer.headers.get("Retry-After")) == told
    if headers:
        assert client.post(ORDERS, json=body, headers=headers).headers["Idempotency-Replayed"] == "true"
    with held.sessions() as session:
        assert count(session, Order) == 1
