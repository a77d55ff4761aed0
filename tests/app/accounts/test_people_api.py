from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import PASSWORD, make_person
from luckygas.access import Role
from luckygas.accounts.models import Person

PATH = "/api/v1/people"
BODY = {"login": "meiling", "name": "陳美玲", "role": "dispatcher"}


@pytest.fixture
def log_in(app: Flask) -> Callable[..., tuple[int, FlaskClient]]:
    def attempt(login: str, password: str = PASSWORD) -> tuple[int, FlaskClient]:
        browser = app.test_client()
        return browser.post("/api/v1/session", json={"login": login, "password": password}).status_code, browser

    return attempt


def test_a_new_person_logs_in_with_the_password_that_was_shown(
    client: FlaskClient, session: Session, log_in: Callable[..., tuple[int, FlaskClient]]
) -> None:
    created = client.post(PATH, json=BODY)
    assert created.status_code == 201
    person, password = created.json["person"], created.json["password"]
    assert person["must_change_password"] is True
    assert log_in("meiling", password)[0] == 200
    read = client.get(created.headers["Location"])
    assert read.json == person
    assert password not in read.get_data(as_text=True)
    assert password not in session.get_one(Person, person["id"]).password_hash


def test_a_log_in_name_is_there_once(client: FlaskClient) -> None:
    assert client.post(PATH, json=BODY).status_code == 201
    again = client.post(PATH, json=BODY)
    assert (again.status_code, again.json["code"]) == (409, "login_taken")


@pytest.mark.parametrize(
    "change", [{"login": "Mei Ling"}, {"login": "m"}, {"role": "service"}, {"role": "customer"}, {"name": " "}]
)
def test_what_cannot_be_a_person_is_refused(client: FlaskClient, change: dict[str, str]) -> None:
    refused = client.post(PATH, json=BODY | change)
    assert [error["field"] for error in refused.json["errors"]] == list(change)


def test_people_are_listed_by_role(client: FlaskClient, session: Session) -> None:
    driver, admin = (make_person(session, role=role).id for role in (Role.DRIVER, Role.ADMIN))
    assert [item["id"] for item in client.get(PATH).json["items"]] == [admin, driver]
    assert [item["id"] for item in client.get(f"{PATH}?role=driver").json["items"]] == [driver]


@pytest.mark.parametrize("change", [{"role": "driver"}, {"disabled": True}])
def test_who_loses_rights_is_logged_out(
    client: FlaskClient, session: Session, log_in: Callable[..., tuple[int, FlaskClient]], change: dict[str, object]
) -> None:
    person = make_person(session)
    _, browser = log_in(person.login)
    assert browser.get("/api/v1/me").status_code == 200
    assert client.patch(f"{PATH}/{person.id}", json={"name": "陳美麗"}).json["name"] == "陳美麗"
    assert browser.get("/api/v1/me").status_code == 200, "another name takes no right away"
    assert client.patch(f"{PATH}/{person.id}", json=change).status_code == 200
    assert browser.get("/api/v1/me").status_code == 401
    assert log_in(person.login)[0] == (401 if "disabled" in change else 200)


def test_a_disabled_person_can_come_back(client: FlaskClient, session: Session) -> None:
    person = make_person(session)
    assert client.patch(f"{PATH}/{person.id}", json={"disabled": True}).json["disabled_at"] is not None
    assert client.patch(f"{PATH}/{person.id}", json={"disabled": False}).json["disabled_at"] is None


@pytest.mark.parametrize("change", [{"role": "driver"}, {"disabled": True}])
def test_the_last_admin_stays(client: FlaskClient, session: Session, change: dict[str, object]) -> None:
    first, second = make_person(session, role=Role.ADMIN), make_person(session, role=Role.ADMIN)
    assert client.patch(f"{PATH}/{first.id}", json=change).status_code == 200
    refused = client.patch(f"{PATH}/{second.id}", json=change)
    assert (refused.status_code, refused.json["code"]) == (409, "last_admin")


def test_a_forgotten_password_is_replaced_and_the_app_with_it(
    client: FlaskClient, session: Session, log_in: Callable[..., tuple[int, FlaskClient]]
) -> None:
    person = make_person(session, totp_secret="A" * 32, totp_confirmed_at=None)
    _, browser = log_in(person.login)
    answer = client.post(f"{PATH}/{person.id}/password")
    assert answer.json["person"]["must_change_password"] is True
    assert browser.get("/api/v1/me").status_code == 401
    assert log_in(person.login)[0] == 401
    assert log_in(person.login, answer.json["password"])[0] == 200
    session.expire_all()
    assert session.get_one(Person, person.id).totp_secret is None


def test_an_admin_logs_somebody_out_everywhere(
    client: FlaskClient, session: Session, log_in: Callable[..., tuple[int, FlaskClient]]
) -> None:
    person = make_person(session)
    browsers = [log_in(person.login)[1] for _ in range(2)]
    assert client.delete(f"{PATH}/{person.id}/sessions").json == {"ended": 2}
    assert {browser.get("/api/v1/me").status_code for browser in browsers} == {401}
    assert client.delete(f"{PATH}/4711/sessions").status_code == 404
