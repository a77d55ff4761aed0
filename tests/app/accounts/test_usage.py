from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import PEPPER, make_key
from luckygas.accounts import usage
from luckygas.accounts.models import ApiKey
from luckygas.resources import Resources
from statements import asked

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TODAY = date(2026, 5, 1)


@pytest.fixture
def counter(app: Flask) -> usage.UseCounter:
    counter = app.extensions["luckygas.callers"].uses
    counter.write(Resources.of(app).sessions)
    return counter


def written(session: Session, key_id: str) -> list[tuple[date, int]]:
    session.expire_all()
    return [(use.day, use.requests) for use in usage.of_key(session, key_id=key_id, since=date.min)]


def test_uses_of_two_processes_add_up_by_day(app: Flask, session: Session) -> None:
    key_id, sessions = make_key(session).id, Resources.of(app).sessions
    session.commit()
    for counter in (usage.UseCounter(), usage.UseCounter()):
        for days in (0, 0, 1):
            counter.note(key_id, now=NOW + timedelta(days=days), today=TODAY + timedelta(days=days))
        counter.write(sessions)
        counter.write(sessions)
    assert written(session, key_id) == [(TODAY + timedelta(days=1), 2), (TODAY, 4)]
    assert session.get_one(ApiKey, key_id).last_used_at == NOW + timedelta(days=1)


def test_the_last_use_never_goes_back(app: Flask, session: Session) -> None:
    key_id = make_key(session).id
    session.commit()
    for hours in (2, 1):
        counter = usage.UseCounter()
        counter.note(key_id, now=NOW + timedelta(hours=hours), today=TODAY)
        counter.write(Resources.of(app).sessions)
    session.expire_all()
    assert session.get_one(ApiKey, key_id).last_used_at == NOW + timedelta(hours=2)


def test_what_cannot_be_written_is_kept(
    app: Flask, session: Session, app_with: Callable[..., Flask], closed_port: int
) -> None:
    key_id = make_key(session).id
    session.commit()
    away = app_with(database_url=f"postgresql://luckygas_app@127.0.0.1:{closed_port}/x")
    counter = usage.UseCounter()
    counter.note(key_id, now=NOW, today=TODAY)
    counter.write(Resources.of(away).sessions)
    counter.note(key_id, now=NOW, today=TODAY)
    counter.write(Resources.of(app).sessions)
    assert written(session, key_id) == [(TODAY, 2)]


def test_a_key_that_is_used_goes_over_to_the_new_pepper(app: Flask, session: Session) -> None:
    key = make_key(session)
    session.commit()
    new = key.mac(pepper="another pepper")
    counter = usage.UseCounter()
    counter.note(key.id, now=NOW, today=TODAY)
    counter.note_mac(key.id, had=key.mac(pepper=PEPPER), mac=new)
    counter.write(Resources.of(app).sessions)
    session.expire_all()
    assert session.get_one(ApiKey, key.id).secret_mac == new


def test_what_a_key_is_recognised_by_is_written_also_when_its_request_is_counted_later(
    app: Flask, session: Session
) -> None:
    key = make_key(session)
    session.commit()
    new = key.mac(pepper="another pepper")
    counter = usage.UseCounter()
    counter.note_mac(key.id, had=key.mac(pepper=PEPPER), mac=new)
    counter.write(Resources.of(app).sessions)
    session.expire_all()
    assert session.get_one(ApiKey, key.id).secret_mac == new


def test_a_request_is_counted_and_costs_no_write(app: Flask, session: Session, counter: usage.UseCounter) -> None:
    key = make_key(session)
    session.commit()
    with asked(Resources.of(app).engine) as seen:
        for path in ("/api/v1/orders", "/api/v1/orders/1", "/api/v1/customers"):
            app.test_client().get(path, headers={"X-API-Key": key.reveal()})
    assert not [statement for statement, _ in seen if statement.startswith(("INSERT", "UPDATE", "DELETE"))]
    counter.write(Resources.of(app).sessions)
    assert [requests for _, requests in written(session, key.id)] == [3]


def test_it_is_counted_how_much_was_refused_and_noted_from_where_it_came(
    app: Flask, session: Session, counter: usage.UseCounter
) -> None:
    key = make_key(session)
    session.commit()
    for path, address in (("orders", "203.0.113.7"), ("orders/1", "203.0.113.9"), ("orders/2", "2001:db8:1:2::3")):
        headers = {"X-API-Key": key.reveal(), "X-Forwarded-For": address}
        app.test_client().get(f"/api/v1/{path}", headers=headers)
    app.test_client().get("/api/v1/orders", headers={"X-API-Key": "another"})
    counter.write(Resources.of(app).sessions)
    (use,) = usage.of_key(session, key_id=key.id, since=date.min)
    assert (use.requests, use.refused) == (3, 2)
    places = usage.networks_of_key(session, key_id=key.id)
    assert {place.network for place in places} == {"203.0.113.0/24", "2001:db8:1::/48"}


def test_where_a_key_was_long_ago_is_forgotten(app: Flask, session: Session) -> None:
    key_id = make_key(session).id
    session.commit()
    for address, at in (("192.0.2.1", NOW), ("198.51.100.1", NOW + usage.NETWORKS_KEPT_FOR + timedelta(days=1))):
        counter = usage.UseCounter()
        counter.note(key_id, now=at, today=TODAY, address=address)
        counter.write(Resources.of(app).sessions)
    assert [place.network for place in usage.networks_of_key(session, key_id=key_id)] == ["198.51.100.0/24"]


def test_a_key_that_was_seen_costs_a_list_no_question(committing_app: Flask) -> None:
    held = Resources.of(committing_app)
    with held.sessions.begin() as session:
        key = make_key(session).reveal()
    client = committing_app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = key
    client.get("/api/v1/orders")
    with asked(held.engine) as seen:
        assert client.get("/api/v1/orders").status_code == 200
    assert seen == []


def test_a_revoked_key_changes_nothing_more_and_lists_for_some_seconds(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    key = make_key(session)
    session.commit()
    holder = app.test_client()
    holder.environ_base["HTTP_X_API_KEY"] = key.reveal()
    assert holder.get("/api/v1/orders").status_code == 200
    assert client.delete(f"/api/v1/keys/{key.id}").json["state"] == "revoked"
    assert holder.post("/api/v1/orders", json={}).status_code == 401
    assert holder.get("/api/v1/orders").status_code == 401, "where it was seen to be revoked, it is for lists as well"
