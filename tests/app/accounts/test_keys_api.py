from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import PASSWORD, PEPPER, make_key, make_person
from luckygas.access import Permission, Role
from luckygas.accounts import service
from luckygas.accounts.keys import Key
from luckygas.accounts.models import ApiKey
from luckygas.web import cookies

PATH = "/api/v1/keys"
BODY = {"name": "web shop", "role": "service"}


def days_until(instant: str) -> int:
    return round((datetime.fromisoformat(instant) - datetime.now(UTC)) / timedelta(days=1))


def test_a_key_is_shown_once_and_works(app: Flask, client: FlaskClient, session: Session) -> None:
    created = client.post(PATH, json=BODY | {"tier": "premium"})
    assert created.status_code == 201
    secret, key = created.json["secret"], created.json["key"]
    assert (key["tier"], key["state"], key["scopes"], days_until(key["expires_at"])) == ("premium", "usable", None, 90)
    assert app.test_client().get("/api/v1/orders", headers={"X-API-Key": secret}).status_code == 200
    read = client.get(created.headers["Location"])
    assert read.json == key
    parsed = Key.parse(secret)
    assert parsed.secret not in read.get_data(as_text=True)
    assert session.get_one(ApiKey, key["id"]).secret_mac == parsed.mac(pepper=PEPPER)


def test_a_scope_that_is_missing_is_named(app: Flask, client: FlaskClient) -> None:
    secret = client.post(PATH, json=BODY | {"scopes": ["orders:read"]}).json["secret"]
    headers = {"X-API-Key": secret}
    assert app.test_client().get("/api/v1/orders", headers=headers).status_code == 200
    refused = app.test_client().post("/api/v1/orders", json={}, headers=headers)
    assert refused.status_code == 403
    assert "leave out orders:write" in refused.json["detail"]


def test_a_key_of_a_person_names_its_owner(app: Flask, session: Session) -> None:
    person, browser = make_person(session, role=Role.ADMIN), app.test_client()
    token = browser.post("/api/v1/session", json={"login": person.login, "password": PASSWORD}).json["csrf_token"]
    created = browser.post(PATH, json=BODY, headers={cookies.CSRF_HEADER: token})
    assert created.json["key"]["owner_id"] == person.id
    assert len(browser.get(f"{PATH}?owner_id={person.id}").json["items"]) == 1


def test_a_limited_key_cannot_make_or_rotate_a_stronger_one(app: Flask, session: Session) -> None:
    limited = service.create_key(
        session,
        pepper=PEPPER,
        name="robot",
        role=Role.ADMIN,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        scopes=[Permission.KEYS_WRITE, Permission.ORDERS_READ],
    )
    strong, robot = make_key(session), app.test_client()
    robot.environ_base["HTTP_X_API_KEY"] = limited.reveal()
    assert robot.post(PATH, json=BODY).status_code == 403
    assert robot.post(f"{PATH}/{strong.id}/rotation", json={}).status_code == 403
    assert robot.post(PATH, json=BODY | {"scopes": ["orders:read"]}).status_code == 201


def test_a_key_is_rotated_with_an_overlap(app: Flask, client: FlaskClient, session: Session) -> None:
    old = make_key(session)
    rotated = client.post(f"{PATH}/{old.id}/rotation", json={"days": 30})
    assert rotated.status_code == 201
    assert (rotated.json["key"]["replaces"], days_until(rotated.json["key"]["expires_at"])) == (old.id, 30)
    assert days_until(client.get(f"{PATH}/{old.id}").json["expires_at"]) == 7
    for secret in (old.reveal(), rotated.json["secret"]):
        assert app.test_client().get("/api/v1/orders", headers={"X-API-Key": secret}).status_code == 200
    again = client.post(f"{PATH}/{old.id}/rotation", json={})
    assert (again.status_code, again.json["code"]) == (409, "key_state")


def test_keys_are_found_by_prefix_and_paged(client: FlaskClient, session: Session) -> None:
    keys = [make_key(session).id for _ in range(3)]
    for prefix in (keys[1], f"lg_live_{keys[1]}"):
        assert [item["id"] for item in client.get(f"{PATH}?prefix={prefix}").json["items"]] == [keys[1]]
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"{PATH}?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen[:3] == keys[::-1]
    refused = client.get(PATH, query_string={"prefix": make_key(session).reveal()})
    assert refused.status_code == 422, "a whole key has no business in an address"


def test_the_uses_of_a_key_can_be_read(app: Flask, client: FlaskClient, session: Session) -> None:
    key = make_key(session)
    for _ in range(2):
        app.test_client().get("/api/v1/orders/1", headers={"X-API-Key": key.reveal()})
    app.extensions["luckygas.callers"].uses.write(app.extensions["luckygas"].sessions)
    answer = client.get(f"{PATH}/{key.id}/uses").json
    assert (answer["total"], len(answer["items"])) == (2, 1)


def test_what_is_not_there_cannot_be_managed(client: FlaskClient) -> None:
    for method, path in (("GET", ""), ("GET", "/uses"), ("DELETE", ""), ("POST", "/rotation")):
        body = {} if method == "POST" else None
        assert client.open(f"{PATH}/00000000{path}", method=method, json=body).status_code == 404


def test_only_admins_manage_keys(client_as: Callable[[Role], FlaskClient]) -> None:
    assert client_as(Role.DISPATCHER).get(PATH).status_code == 403
