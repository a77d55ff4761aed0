from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import PASSWORD, make_person
from luckygas.web.headers import COMMON, DATA_POLICY, PAGE_POLICY

ORDERS = "/api/v1/orders"
SITE = "https://localhost"
SHOP, OTHER = "https://shop.example.tw", "https://other.example.tw"
DEEP = 10_000


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/health", 200), (ORDERS, 401), ("/nothing", 404), ("/api//v1/orders", 308)]
)
def test_every_answer_tells_browsers_what_to_refuse_and_each_thing_once(app: Flask, path: str, status: int) -> None:
    response = app.test_client().get(path)
    assert response.status_code == status
    for name, value in COMMON.items():
        assert response.headers.getlist(name) == [value]
    assert "Server" not in response.headers


def test_data_is_allowed_to_load_nothing(app: Flask) -> None:
    assert app.test_client().get(ORDERS).headers.getlist("Content-Security-Policy") == [DATA_POLICY]


def test_a_page_obeys_only_what_comes_from_here_as_a_file(app: Flask) -> None:
    response = app.test_client().get("/api/v1/docs")
    assert response.headers.getlist("Content-Security-Policy") == [PAGE_POLICY]
    assert "unsafe" not in PAGE_POLICY
    assert "script" not in PAGE_POLICY


def test_no_other_site_may_read_answers_unless_the_operator_says_so(app: Flask) -> None:
    response = app.test_client().options(ORDERS, headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"})
    assert not [name for name in response.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


@pytest.fixture
def shared(app_with: Callable[..., Flask]) -> FlaskClient:
    return app_with(cors_origins=(SHOP,)).test_client()


def test_a_site_of_the_list_may_call_by_a_key_and_see_the_headers(shared: FlaskClient) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    preflight = shared.options(ORDERS, headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    response = shared.get("/api/v1/health", headers={"Origin": SHOP})
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "RateLimit" in response.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", [OTHER, "null", "https://shop.example.tw.evil.example", None])
def test_all_others_are_not_and_caches_are_told_that_it_depends(shared: FlaskClient, origin: str | None) -> None:
    response = shared.get("/api/v1/health", headers={"Origin": origin} if origin else {})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/json"]
)
def test_a_body_of_another_kind_is_not_read(client: FlaskClient, kind: str) -> None:
    assert client.post(ORDERS, data=b"{}", content_type=kind).status_code == 415


@pytest.mark.parametrize("body", ["[" * DEEP, "[" * DEEP + "]" * DEEP, '{"lines":' * DEEP + "1" + "}" * DEEP])
def test_a_body_that_is_nested_too_deep_is_malformed(client: FlaskClient, body: str) -> None:
    response = client.post(ORDERS, data=body, content_type="application/json")
    assert response.status_code == 400
    assert response.json["code"] == "malformed_request"


def test_logging_out_leaves_nothing_in_the_browser(app: Flask, session: Session) -> None:
    person, client = make_person(session), app.test_client()
    begun = client.post("/api/v1/session", json={"login": person.login, "password": PASSWORD}, base_url=SITE)
    headers = {"X-CSRF-Token": begun.json["csrf_token"]}
    response = client.delete("/api/v1/session", headers=headers, base_url=SITE)
    assert response.status_code == 200
    assert response.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'
