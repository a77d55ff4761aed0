from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from factories import customer_body
from luckygas.web.guard import DEEPEST_BODY
from texts import AGENTS

CUSTOMERS = "/api/v1/customers"
SQL = "x' or 1=1 --"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (("GET", f"{CUSTOMERS}?mobile={SQL}", {}), "query mobile"),
        (("GET", f"{CUSTOMERS}?<script>=1", {}), "query"),
        (("GET", "/api/v1/../../etc/passwd", {}), "path"),
        (("GET", "/api/v1/%3Cscript%3Ealert(1)", {}), "path"),
        (("GET", "/nothing", {"headers": {"User-Agent": "() { :;}; /bin/id"}}), "User-Agent"),
        (("POST", CUSTOMERS, {"json": {"name": SQL}}), "name"),
        (("POST", CUSTOMERS, {"json": {"addresses": [{"text": "<svg onload=alert(1)>"}]}}), "addresses.0.text"),
        (("POST", CUSTOMERS, {"json": {SQL: 1}}), "a name in the body"),
        (("POST", CUSTOMERS, {"json": "{{7*7}}"}), "body"),
        (
            (
                "POST",
                f"{CUSTOMERS}/import",
                {"data": f"name,mobile\r\n王,0912\r\n{SQL},1\r\n".encode(), "content_type": "text/csv"},
            ),
            "line 3",
        ),
        (
            ("POST", CUSTOMERS, {"data": b'{"name": "\\u003cscript\\u003e"}', "content_type": "application/json"}),
            "name",
        ),
    ],
)
def test_an_attack_is_refused_wherever_it_stands(
    client: FlaskClient, asked: tuple[str, str, dict[str, Any]], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    method, path, options = asked
    response = client.open(path, method=method, **options)
    assert response.status_code == 400
    assert response.json["code"] == "suspicious_input"
    assert response.json["errors"][0]["field"] == field
    (record,) = [record for record in caplog.records if record.name == "luckygas.web.guard"]
    assert record.field == field
    assert "or 1=1" not in record.getMessage()


def test_an_attack_is_refused_before_it_is_asked_who_that_is(app: Flask) -> None:
    assert app.test_client().get(f"{CUSTOMERS}?mobile={SQL}").status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "O'Brien"},
        {"name": "1=1 巷", "address": "臺北市大同區民生西路 1=1 巷 5 號"},
        {"name": "請 select 20kg 的"},
        {"name": "A&D 餐廳; 後門"},
        {"name": "<研發部>"},
    ],
)
def test_names_and_addresses_are_stored_as_they_are(client: FlaskClient, changes: dict[str, str]) -> None:
    response = client.post(CUSTOMERS, json=customer_body(**changes))
    assert response.status_code == 201
    assert response.json["name"] == changes["name"]


@pytest.mark.parametrize("agent", AGENTS)
def test_browsers_and_programs_are_let_in(app: Flask, agent: str) -> None:
    assert app.test_client().get("/healthz", headers={"User-Agent": agent}).status_code == 200


def test_an_attack_costs_its_address_more_than_a_mistake(app: Flask) -> None:
    client = app.test_client()
    response = client.get("/healthz?a=$(id)", headers={"X-Forwarded-For": "198.51.100.77"})
    assert '"minute";r=55;' in response.headers["RateLimit"]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_body_may_be_nested_so_deep_and_no_deeper(
    client: FlaskClient, opening: str, request: pytest.FixtureRequest
) -> None:
    closing = "]" if opening == "[" else "}"
    for depth, detail in ((DEEPEST_BODY, "nested"), (DEEPEST_BODY + 2, "nested deeper than")):
        body = opening * depth + "1" + closing * depth
        response = client.post(CUSTOMERS, data=body, content_type="application/json")
        assert response.status_code == (422 if depth == DEEPEST_BODY else 400)
        assert (detail in response.json["detail"]) == (depth > DEEPEST_BODY)


def test_no_password_is_in_the_log(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    secret = "hunter2' or 1=1 --"  # noqa: S105
    app.test_client().post("/api/v1/session", json={"login": "wang", "password": secret})
    assert "hunter2" not in caplog.text


def test_the_body_can_still_be_read_by_the_view(client: FlaskClient, client_as: Callable[..., FlaskClient]) -> None:
    assert client.post(CUSTOMERS, json={}).status_code == 422
