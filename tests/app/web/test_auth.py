from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_key
from luckygas.access import Role

PATH = "/api/v1/orders"


def test_a_key_may_come_in_either_header(app: Flask, session: Session) -> None:
    key = make_key(session).reveal()
    client = app.test_client()
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key} "}, {"X-API-Key": key}):
        assert client.get(PATH, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer   "},
        {"Authorization": "Basic bGc6bGc="},
        {"X-API-Key": " "},
    ],
)
def test_a_request_without_a_key_is_told_how_to_send_one(app: Flask, headers: dict[str, str]) -> None:
    response = app.test_client().get(PATH, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="luckygas"'
    assert response.json["code"] == "unauthenticated"
    assert "Authorization: Bearer KEY" in response.json["detail"]


@pytest.mark.parametrize("key", ["nonsense", "lg_live_00000000_" + "A" * 43, "\xff\xfe"])
def test_a_wrong_key_is_refused_by_its_name_in_the_standard(app: Flask, key: str) -> None:
    response = app.test_client().get(PATH, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="luckygas", error="invalid_token"'
    assert key not in response.get_data(as_text=True)


def test_a_key_that_lacks_the_permission_is_told_which(client_as: Callable[[Role], FlaskClient]) -> None:
    response = client_as(Role.DRIVER).post(PATH, json={})
    assert response.status_code == 403
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="luckygas", error="insufficient_scope", scope="orders:write"'
    )
    assert "the role driver, which lacks orders:write" in response.json["detail"]


def test_other_schemes_do_not_fall_back_to_the_other_header(app: Flask, session: Session) -> None:
    headers = {"Authorization": "Basic bGc6bGc=", "X-API-Key": make_key(session).reveal()}
    assert app.test_client().get(PATH, headers=headers).status_code == 401
