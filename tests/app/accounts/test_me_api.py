from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pyotp import TOTP
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from factories import PASSWORD, make_customer, make_person
from luckygas.access import Role
from luckygas.accounts import login
from luckygas.accounts.models import Person
from luckygas.resources import Resources

NEW_PASSWORD = "eleven blue cylinders"  # noqa: S105


class Browser:
    """A client that keeps its cookie and sends the CSRF token with it."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.headers: dict[str, str] = {}

    def log_in(self, person: Person, password: str = PASSWORD, **more: str) -> TestResponse:
        body = {"login": person.login, "password": password} | more
        return self._keep(self.client.post("/api/v1/session", json=body))

    def __call__(self, method: str, path: str, body: object = None) -> TestResponse:
        return self._keep(self.client.open(f"/api/v1{path}", method=method, json=body, headers=self.headers))

    def _keep(self, response: TestResponse) -> TestResponse:
        if response.is_json and "csrf_token" in response.json:
            self.headers = {"X-CSRF-Token": response.json["csrf_token"]}
        return response


@pytest.fixture
def browser(app: Flask) -> Callable[[], Browser]:
    return lambda: Browser(app.test_client())


def test_logging_in_gives_a_cookie_that_only_this_site_gets(session: Session, browser: Callable[[], Browser]) -> None:
    person = make_person(session)
    answer = browser().log_in(person)
    assert answer.status_code == 200
    assert answer.json["person"]["name"] == person.name
    name_and_value, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name_and_value.startswith("__Host-luckygas=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert not [attribute for attribute in attributes if attribute.startswith("Domain")]
    assert name_and_value.partition("=")[2] not in answer.get_data(as_text=True)


def test_a_person_may_do_what_their_role_says(session: Session, browser: Callable[[], Browser]) -> None:
    driver = browser()
    driver.log_in(make_person(session, role=Role.DRIVER))
    assert driver("GET", "/customers").status_code == 200
    refused = driver("POST", "/customers", {})
    assert refused.status_code == 403
    assert "ask an admin" in refused.json["detail"]


def test_a_change_needs_more_than_the_cookie(session: Session, browser: Callable[[], Browser]) -> None:
    dispatcher = browser()
    dispatcher.log_in(make_person(session))
    body = {"customer_id": make_customer(session).id}
    for headers in ({}, {"X-CSRF-Token": "0" * 64}):
        refused = dispatcher.client.post("/api/v1/orders", json=body, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (403, "csrf_token_missing")
    assert dispatcher("POST", "/orders", body).status_code == 422
    dispatcher.headers = {}
    dispatcher("GET", "/me")
    assert dispatcher("POST", "/orders", body).status_code == 422, "a reloaded page asks for it again"


def test_a_failure_is_kept_although_it_is_answered(committing_app: Flask) -> None:
    with Resources.of(committing_app).sessions.begin() as session:
        person = make_person(session)
    browser = Browser(committing_app.test_client())
    statuses = [browser.log_in(person, "wrong").status_code for _ in range(login.FREE_FAILURES + 1)]
    assert statuses == [401] * login.FREE_FAILURES + [429]
    locked = browser.log_in(person)
    assert locked.json["code"] == "login_locked"
    assert 0 < int(locked.headers["Retry-After"]) <= 31


def test_logging_out_ends_this_session_alone(session: Session, browser: Callable[[], Browser]) -> None:
    person, first, second = make_person(session), browser(), browser()
    for each in (first, second):
        each.log_in(person)
    assert len(first("GET", "/me/sessions").json["items"]) == 2
    token = first.client.get_cookie("__Host-luckygas").value
    ended = first("DELETE", "/session")
    assert ended.json == {"ended": 1}
    assert ended.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'
    assert first.client.get_cookie("__Host-luckygas") is None
    first.client.set_cookie("__Host-luckygas", token)
    assert first("GET", "/me").status_code == 401
    assert second("GET", "/me").status_code == 200


def test_logging_out_everywhere(session: Session, browser: Callable[[], Browser]) -> None:
    person, first, second = make_person(session), browser(), browser()
    for each in (first, second):
        each.log_in(person)
        assert each("GET", "/me").status_code == 200
    assert first("DELETE", "/me/sessions").json == {"ended": 2}
    assert second("GET", "/me").status_code == 401


def test_a_new_password_ends_all_sessions_but_the_one_that_begins_with_it(
    session: Session, browser: Callable[[], Browser]
) -> None:
    person, first, second = make_person(session), browser(), browser()
    for each in (first, second):
        each.log_in(person)
    wrong = first("PUT", "/me/password", {"current": "wrong", "new": NEW_PASSWORD})
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (422, "current")
    weak = first("PUT", "/me/password", {"current": PASSWORD, "new": "a" * 12})
    assert (weak.status_code, weak.json["errors"][0]["field"]) == (422, "new")
    assert first("PUT", "/me/password", {"current": PASSWORD, "new": NEW_PASSWORD}).status_code == 200
    assert first("GET", "/me").status_code == 200
    assert second("GET", "/me").status_code == 401
    assert browser().log_in(person).status_code == 401
    assert browser().log_in(person, NEW_PASSWORD).status_code == 200


def test_a_first_password_is_good_for_choosing_another_and_for_nothing_else(
    session: Session, browser: Callable[[], Browser]
) -> None:
    person = make_person(session, must_change_password=True)
    newcomer = browser()
    assert newcomer.log_in(person).json["person"]["must_change_password"] is True
    refused = newcomer("GET", "/customers")
    assert refused.status_code == 403
    assert "PUT /api/v1/me/password" in refused.json["detail"]
    assert newcomer("PUT", "/me/password", {"current": PASSWORD, "new": NEW_PASSWORD}).status_code == 200
    assert newcomer("GET", "/customers").status_code == 200


def test_an_authenticator_app_counts_from_its_first_code_on(session: Session, browser: Callable[[], Browser]) -> None:
    person, admin = make_person(session, role=Role.ADMIN), browser()
    admin.log_in(person)
    assert admin("POST", "/me/totp", {"current": "wrong"}).status_code == 422
    assert admin("PUT", "/me/totp", {"code": "000000"}).status_code == 409
    secret = admin("POST", "/me/totp", {"current": PASSWORD}).json["secret"]
    assert browser().log_in(person).status_code == 200, "not confirmed yet"
    near = {TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=seconds)) for seconds in (-30, 0, 30, 60)}
    wrong = next(code for code in ("000000", "000001", "000002", "000003", "000004") if code not in near)
    assert admin("PUT", "/me/totp", {"code": wrong}).status_code == 422
    assert admin("PUT", "/me/totp", {"code": TOTP(secret).now()}).json["has_totp"] is True
    assert admin("POST", "/me/totp", {"current": PASSWORD}).status_code == 409
    assert browser().log_in(person).json["code"] == "totp_code_needed"
    assert admin("DELETE", "/me/totp", {"current": PASSWORD}).json["has_totp"] is False
    assert browser().log_in(person).status_code == 200


def test_a_key_beside_a_cookie_counts_alone(session: Session, browser: Callable[[], Browser]) -> None:
    dispatcher = browser()
    dispatcher.log_in(make_person(session))
    assert dispatcher.client.get("/api/v1/customers", headers={"X-API-Key": "nonsense"}).status_code == 401
