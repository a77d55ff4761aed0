import io
import logging
from collections.abc import Callable

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc

from luckygas.access import PUBLIC
from luckygas.web.blueprint import Blueprint
from luckygas.web.problems import ProblemOut

KEYS = ["type", "title", "status", "detail", "instance", "code", "request_id", "errors"]
ORDERS = "/api/v1/orders"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (("POST", ORDERS, {"data": "{", "content_type": "application/json"}), 400, "malformed_request"),
        (("POST", ORDERS, {"json": {}, "headers": {"Authorization": "Bearer x"}}), 401, "unauthenticated"),
        (("GET", "/api/v1/nothing", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/1", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/99999999999999999999", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/9223372036854775808", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/9223372036854775807", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/-1", {}), 404, "not_found"),
        (("GET", f"{ORDERS}/%D9%A1", {}), 404, "not_found"),
        (("DELETE", ORDERS, {}), 405, "method_not_allowed"),
        (
            ("POST", ORDERS, {"data": b" " * 1024 * 1024 + b"1", "content_type": "application/json"}),
            413,
            "payload_too_large",
        ),
        (("POST", ORDERS, {"data": {"customer_id": "1"}}), 415, "unsupported_media_type"),
        (("POST", ORDERS, {"json": {}}), 422, "validation_failed"),
    ],
)
def test_every_failure_has_the_one_shape(
    client: FlaskClient, asked: tuple[str, str, dict], status: int, code: str
) -> None:
    method, path, options = asked
    response = client.open(path, method=method, **options)
    body = response.json
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert list(body) == KEYS
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/api/v1/docs#{code}")
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert body["detail"]


def test_the_address_that_was_asked_for_is_named(client: FlaskClient) -> None:
    assert client.get("/api/v1/客戶").json["instance"] == "/api/v1/客戶"


def test_a_request_that_was_cut_off_is_the_callers_failure(client: FlaskClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "100"}
    response = client.post(ORDERS, headers=headers, environ_overrides={"wsgi.input": io.BytesIO(b"{")})
    assert response.status_code == 400
    assert response.json["code"] == "malformed_request"


def test_doubled_slashes_are_led_to_the_right_address(client: FlaskClient) -> None:
    response = client.get("/api//v1/orders")
    assert response.status_code == 308
    assert response.location.endswith("/api/v1/orders")


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    response = client.put(ORDERS, json={})
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert "use GET, HEAD, OPTIONS, POST" in response.json["detail"]


def test_a_body_of_exactly_the_limit_is_read(client: FlaskClient) -> None:
    assert client.post(ORDERS, data=b" " * 1024 * 1024, content_type="application/json").status_code == 400


def test_a_body_of_unstated_length_is_limited_as_well(client: FlaskClient) -> None:
    environ = {"wsgi.input": io.BytesIO(b" " * 2 * 1024 * 1024), "wsgi.input_terminated": True}
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    response = client.post(ORDERS, headers=headers, environ_overrides=environ)
    assert response.status_code == 413


@pytest.fixture
def failing(app_with: Callable[..., Flask]) -> Callable[[Exception], FlaskClient]:
    """Return a client of a service whose /fail raises this."""

    def build(error: Exception) -> FlaskClient:
        app = app_with()
        blueprint = Blueprint("fail", __name__, enable_openapi=False)

        @blueprint.get("/fail", auth=PUBLIC)
        def fail() -> None:
            raise error

        app.register_blueprint(blueprint)
        return app.test_client()

    return build


def test_a_defect_is_logged_whole_and_answered_without_its_cause(
    failing: Callable[[Exception], FlaskClient], caplog: pytest.LogCaptureFixture
) -> None:
    response = failing(ZeroDivisionError("password=hunter2")).get("/fail")
    assert response.status_code == 500
    assert list(response.json) == KEYS
    assert "hunter2" not in response.get_data(as_text=True)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info[0] is ZeroDivisionError


UNAVAILABLE = [
    psycopg.errors.ConnectionTimeout(),
    psycopg.errors.AdminShutdown(),
    psycopg.errors.QueryCanceled(),
    psycopg.errors.LockNotAvailable(),
    psycopg.errors.DeadlockDetected(),
    psycopg.errors.TooManyConnections(),
]


@pytest.mark.parametrize(
    "error",
    [
        *(exc.OperationalError("SELECT secret_mac", {}, cause) for cause in UNAVAILABLE),
        exc.InterfaceError("SELECT secret_mac", {}, psycopg.InterfaceError()),
        exc.InternalError("INSERT", {}, psycopg.errors.ReadOnlySqlTransaction()),
        exc.TimeoutError("QueuePool limit reached"),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__,
)
def test_a_database_that_is_away_is_not_a_defect(failing: Callable[[Exception], FlaskClient], error: Exception) -> None:
    response = failing(error).get("/fail")
    assert response.status_code == 503
    assert response.json["code"] == "unavailable"
    assert response.headers["Retry-After"] == "2"
    assert "secret_mac" not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    "error",
    [
        exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable()),
        exc.DataError("SELECT", {}, psycopg.errors.NumericValueOutOfRange()),
        exc.InternalError("SELECT", {}, psycopg.errors.InternalError_()),
    ],
    ids=lambda error: type(error.orig).__name__,
)
def test_a_mistake_of_ours_in_the_database_is_a_defect(
    failing: Callable[[Exception], FlaskClient], error: Exception
) -> None:
    assert failing(error).get("/fail").status_code == 500


def test_without_a_database_a_request_is_asked_to_come_again(app_with: Callable[..., Flask], closed_port: int) -> None:
    app = app_with(database_url=f"postgresql://luckygas_app@127.0.0.1:{closed_port}/luckygas")
    # An id without digits, since any other may have those of the port.
    headers = {"X-API-Key": "lg_live_00000000_" + "A" * 43, "X-Request-ID": "f" * 32}
    response = app.test_client().get(ORDERS, headers=headers)
    assert response.status_code == 503
    assert ProblemOut.model_validate(response.json).code == "unavailable"
    assert str(closed_port) not in response.get_data(as_text=True)
