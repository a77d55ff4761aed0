import json
import logging
import re
from collections.abc import Callable, Iterator
from io import StringIO
from logging.config import dictConfig

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_customer, make_order
from luckygas.config import Settings
from luckygas.ops.logging import configuration

GENERATED = re.compile(r"[0-9a-f]{32}")
ID = "0123456789abcdef" * 2


@pytest.fixture
def lines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict]]]:
    """Log as the service does, into memory. Returns a function that reads it."""
    stream = StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    dictConfig(configuration(settings))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.level, root.handlers[:] = before


def test_a_request_is_a_line_of_nginx_which_is_told_whose_it_was(
    client: FlaskClient, session: Session, lines: Callable[[], list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luckygas.ops.logging.SLOW_SECONDS", 3600)
    order = make_order(session)
    response = client.get(f"/api/v1/orders/{order.id}", headers={"X-Request-ID": ID})
    assert response.headers["X-Request-ID"] == ID
    assert re.fullmatch(r"key:[0-9a-z]{8}", response.headers["X-Log-Principal"])
    assert response.headers["X-Log-Route"] == "/api/v1/orders/<id:order_id>"
    assert lines() == []


def test_what_has_no_route_and_no_key_is_told_as_such(app: Flask) -> None:
    told = [app.test_client().get(path).headers for path in ("/nothing", "/api/v1/orders")]
    assert [(headers["X-Log-Route"], headers["X-Log-Principal"]) for headers in told] == [
        ("", ""),
        ("/api/v1/orders", ""),
    ]


@pytest.fixture
def all_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every request for a slow one, so that each has a line."""
    monkeypatch.setattr("luckygas.ops.logging.SLOW_SECONDS", 0)


@pytest.mark.usefixtures("all_are_slow")
def test_a_slow_request_is_one_line(client: FlaskClient, session: Session, lines: Callable[[], list[dict]]) -> None:
    order = make_order(session)
    client.get(f"/api/v1/orders/{order.id}", headers={"X-Request-ID": ID})
    (line,) = lines()
    assert re.fullmatch(r"key:[0-9a-z]{8}", line.pop("principal"))
    assert 0 < line.pop("duration_ms") < 5000
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "luckygas.ops.logging",
        "message": "request",
        "method": "GET",
        "route": "/api/v1/orders/<id:order_id>",
        "status": 200,
        "request_id": ID,
        "instance": "a",
    }


@pytest.mark.usefixtures("all_are_slow")
def test_nothing_of_a_person_gets_into_the_log(
    client: FlaskClient, session: Session, lines: Callable[[], list[dict]]
) -> None:
    customer = make_customer(session, mobile="0912345678", name="陳美麗")
    client.get("/api/v1/customers?mobile=0912345678")
    client.get(f"/api/v1/customers/{customer.id}/0912345678")
    client.post("/api/v1/customers", json={"name": "陳美麗", "mobile": "0912345678"})
    written = json.dumps(lines(), ensure_ascii=False)
    assert len(lines()) == 3
    assert "0912345678" not in written
    assert "陳美麗" not in written


def test_a_defect_is_logged_with_its_traceback_and_its_request(
    client: FlaskClient, lines: Callable[[], list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luckygas.orders.service.get", lambda *_, **__: 1 / 0)
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    # Not the usual client: no document promises a 500.
    response = FlaskClient(client.application).get("/api/v1/orders/1", headers=headers)
    defect, request = lines()
    assert response.status_code == request["status"] == 500
    assert defect["level"] == "ERROR"
    assert defect["traceback"].endswith("ZeroDivisionError: division by zero")
    assert defect["request_id"] == request["request_id"] == response.json["request_id"]


def test_a_line_outside_of_a_request_has_no_request(lines: Callable[[], list[dict]]) -> None:
    logging.getLogger("gunicorn.error").info("瓦斯\nx")
    (line,) = lines()
    assert line["message"] == "瓦斯\nx"
    assert "request_id" not in line


def test_a_request_id_as_nginx_makes_them_is_kept(app: Flask) -> None:
    response = app.test_client().get("/healthz", headers={"X-Request-ID": ID})
    assert response.headers["X-Request-ID"] == ID


@pytest.mark.parametrize(
    "presented",
    ["", "short", "x" * 32, ID.upper(), ID + "0", "a b c d e f", '"},{"a":"b', "识别号识别号识别号"],
)
def test_any_other_request_id_is_replaced(app: Flask, presented: str) -> None:
    response = app.test_client().get("/healthz", headers={"X-Request-ID": presented.encode().decode("latin-1")})
    assert GENERATED.fullmatch(response.headers["X-Request-ID"])
