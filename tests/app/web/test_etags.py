from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_customer, make_driver
from luckygas.access import Role
from luckygas.web.blueprint import access_of
from luckygas.web.etags import CACHE_CONTROL, has_etag


def test_who_has_the_answer_gets_304_and_nothing_else(client: FlaskClient, session: Session) -> None:
    path = f"/api/v1/customers/{make_customer(session).id}"
    session.commit()
    first = client.get(path)
    assert first.headers["Cache-Control"] == CACHE_CONTROL
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    # What compresses on the way makes a weak one of it.
    weak = client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert weak.status_code == 304


def test_an_answer_that_changed_comes_whole(client: FlaskClient, session: Session) -> None:
    driver = make_driver(session)
    session.commit()
    for path in (f"/api/v1/drivers/{driver.id}", "/api/v1/drivers"):
        tag = client.get(path).headers["ETag"]
        driver.name += "!"
        session.commit()
        changed = client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != tag


def test_the_next_page_is_another_answer(client: FlaskClient, session: Session) -> None:
    for _ in range(2):
        make_driver(session)
    session.commit()
    first = client.get("/api/v1/drivers?limit=1")
    cursor = first.json["next_cursor"]
    second = client.get(f"/api/v1/drivers?limit=1&cursor={cursor}", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/people", "/api/v1/keys", "/api/v1/audit", "/api/v1/health"])
def test_what_only_admins_may_see_is_kept_nowhere(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert "ETag" not in response.headers
    assert "Cache-Control" not in response.headers


def test_a_refusal_and_a_change_have_no_tag(client: FlaskClient, client_as: Callable[[Role], FlaskClient]) -> None:
    for response in (
        client_as(Role.CUSTOMER).get("/api/v1/drivers", headers={"If-None-Match": "*"}),
        client.post("/api/v1/drivers", json={}, headers={"If-None-Match": "*"}),
        client.get("/api/v1/drivers/99999", headers={"If-None-Match": "*"}),
    ):
        assert response.status_code in {403, 404, 422}
        assert "ETag" not in response.headers


def test_the_tag_of_what_has_a_version_begins_with_it(client: FlaskClient, session: Session) -> None:
    driver = make_driver(session)
    session.commit()
    assert client.get(f"/api/v1/drivers/{driver.id}").headers["ETag"].startswith('"1-')
    assert "-" not in client.get("/api/v1/drivers").headers["ETag"]


def test_every_tag_is_declared(app: Flask) -> None:
    document = app.extensions["luckygas.openapi"]
    tagged = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "304" in operation["responses"]
    }
    reading = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods]
    views = {rule.endpoint: app.view_functions[rule.endpoint] for rule in reading}
    assert len(tagged) == sum(has_etag(view) for view in views.values() if access_of(view))
