from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from factories import PASSWORD, make_person
from luckygas.access import Role
from luckygas.audit import service
from luckygas.audit.schemas import AuditQuery
from luckygas.resources import Resources
from plans import pages_read

AUDIT = "/api/v1/audit"
DRIVER = {"name": "林司機", "mobile": "0912345678", "plate": "R-1", "capacity_kg": 1000}


def entries(client: FlaskClient, **query: str) -> list[dict]:
    response = client.get(AUDIT, query_string=query)
    assert response.status_code == 200, response.json
    return response.json["items"]


def test_a_change_by_the_api_is_logged_with_its_key_address_and_request(client: FlaskClient) -> None:
    response = client.post("/api/v1/drivers", json=DRIVER, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    driver = response.json
    (entry,) = entries(client, entity="drivers", entity_id=str(driver["id"]))
    key_id = client.environ_base["HTTP_AUTHORIZATION"].split("_")[2]
    assert entry["actor"] == f"key:{key_id}"
    assert entry["origin"] == "192.0.2.9"
    assert entry["request_id"] == response.headers["X-Request-ID"]
    assert entry["changes"]["name"] == {"before": None, "after": "林司機"}
    body = DRIVER | {"name": "林大哥", "is_active": True}
    client.put(f"/api/v1/drivers/{driver['id']}", json=body, headers={"If-Match": '"1"'})
    changed, _ = entries(client, entity="drivers", entity_id=str(driver["id"]))
    assert changed["changes"]["name"] == {"before": "林司機", "after": "林大哥"}
    assert entries(client, request_id=changed["request_id"]) == [changed]


def test_a_request_that_fails_leaves_no_entry(client: FlaskClient) -> None:
    client.post("/api/v1/drivers", json=DRIVER | {"capacity_kg": -1})
    assert entries(client, entity="drivers") == []


def test_log_ins_good_and_bad_and_their_end_are_logged(app: Flask, client: FlaskClient, session: Session) -> None:
    person = make_person(session)
    session.commit()
    browser, body = app.test_client(), {"login": person.login, "password": PASSWORD}
    browser.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    for _ in range(5):
        browser.post("/api/v1/session", json=body | {"password": "wrong"})
    refused = entries(client, entity="logins", entity_id=person.login)
    assert {(entry["action"], entry["actor"], entry["origin"]) for entry in refused} == {
        ("login_refused", "anonymous", "192.0.2.1")
    }
    assert [entry["changes"]["failures"]["after"] for entry in refused] == [5, 4, 3, 2, 1]
    assert refused[0]["changes"]["locked_until"]["after"]
    assert "wrong" not in str(refused)
    assert browser.post("/api/v1/session", json=body).status_code == 429
    assert len(entries(client, entity="logins")) == 5  # while it is locked, attempts add nothing


def test_logging_in_and_out_is_logged_for_the_person(app: Flask, client: FlaskClient, session: Session) -> None:
    person = make_person(session)
    session.commit()
    browser = app.test_client()
    token = browser.post("/api/v1/session", json={"login": person.login, "password": PASSWORD}).json["csrf_token"]
    browser.delete("/api/v1/session", headers={"X-CSRF-Token": token})
    out, logged_in = entries(client, actor=f"person:{person.id}")
    assert (logged_in["action"], out["action"]) == ("logged_in", "logged_out")
    assert logged_in["entity_id"] == out["entity_id"] == str(person.id)


def test_who_is_kept_from_something_is_logged_once(
    client: FlaskClient, client_as: Callable[[Role], FlaskClient]
) -> None:
    driver = client_as(Role.DRIVER)
    for _ in range(3):
        assert driver.post("/api/v1/drivers", json=DRIVER).status_code == 403
    (entry,) = entries(client, action="access_refused")
    assert entry["entity_id"] == "POST /api/v1/drivers"
    assert entry["changes"]["code"]["after"] == "forbidden"
    assert driver.get(AUDIT).status_code == 403
    assert len(entries(client, action="access_refused")) == 2


def test_a_period_can_be_asked_for(client: FlaskClient) -> None:
    client.post("/api/v1/drivers", json=DRIVER)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert len(entries(client, entity="drivers", since=(now - hour).isoformat(), until=(now + hour).isoformat())) == 1
    assert entries(client, entity="drivers", since=(now + hour).isoformat()) == []
    assert entries(client, entity="drivers", until=(now - hour).isoformat()) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"entity_id": "1"}, "entity"),
        ({"since": "2026-05-01T00:00:00"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"action": "Robert'); --"}, "action"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client: FlaskClient, query: dict[str, str], field: str) -> None:
    response = client.get(AUDIT, query_string=query)
    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_pages_follow_each_other(client: FlaskClient) -> None:
    for number in range(3):
        client.post("/api/v1/drivers", json=DRIVER | {"plate": f"R-{number}"})
    first = client.get(AUDIT, query_string={"entity": "drivers", "limit": 2}).json
    rest = client.get(AUDIT, query_string={"entity": "drivers", "limit": 2, "cursor": first["next_cursor"]}).json
    ids = [entry["id"] for entry in first["items"] + rest["items"]]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    assert rest["next_cursor"] is None


def test_looking_for_a_request_costs_the_same_however_long_the_log_is(committing_app: Flask) -> None:
    resources = Resources.of(committing_app)
    grow = text(
        "INSERT INTO audit_entries (actor, request_id, action, entity, entity_id, changes)"
        " SELECT 'tests', 'request-' || n, 'changed', 'things', n, '{}' FROM generate_series(1, :count) AS n"
    )

    def pages(count: int) -> int:
        with resources.sessions.begin() as session:
            session.execute(grow, {"count": count})
        with resources.sessions() as session:
            query = AuditQuery(request_id="what-nobody-asked")
            ask = lambda: service.find(session, query=query, before_id=2**63 - 1, count=9)  # noqa: E731
            return pages_read(session, ask, tables="audit_entries")

    few = pages(600)
    assert pages(6_000) <= few + 10
