import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from conformity import ConformingClient
from luckygas.db import engine as database
from luckygas.db.migrate import known_revisions
from luckygas.ops.health import DEADLINE_SECONDS
from luckygas.ops.probe import Probe

AT = known_revisions()[0]
BOUND_SECONDS = DEADLINE_SECONDS + 10


@pytest.fixture
def health(app_with: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestResponse]:
    """Ask a service with these settings for its health, and be sure that it does not take long."""
    # Longer than the bound: it is the deadline that has to end what waits for a server that says nothing.
    for name in ("CONNECT_TIMEOUT_SECONDS", "READS_CONNECT_TIMEOUT_SECONDS"):
        monkeypatch.setattr(database, name, 30)

    def ask(**changes: object) -> TestResponse:
        app = app_with(**changes)
        app.test_client_class = ConformingClient
        began = time.monotonic()
        response = app.test_client().get("/api/v1/health")
        assert time.monotonic() - began < BOUND_SECONDS
        return response

    return ask


def test_all_is_well(health: Callable[..., TestResponse]) -> None:
    response = health()
    assert response.status_code == 200
    assert response.json == {
        "version": "0.1.0",
        "release": "0.1.0",
        "instance": "a",
        "status": "ok",
        "checks": {name: {"status": "ok", "reason": None} for name in ("database", "reads", "redis", "partners")},
        "reasons": [],
    }


@pytest.mark.parametrize(("port", "reason"), [("closed_port", "no connection"), ("silent_port", "no answer")])
def test_without_redis_it_is_degraded_and_serves(
    health: Callable[..., TestResponse], request: pytest.FixtureRequest, port: str, reason: str
) -> None:
    response = health(redis_url=f"redis://luckygas_app@127.0.0.1:{request.getfixturevalue(port)}/0")
    assert response.status_code == 200
    assert response.json["status"] == "degraded"
    assert response.json["checks"]["redis"] == {"status": "down", "reason": reason}
    assert response.json["reasons"] == [f"redis: {reason}"]


@pytest.mark.parametrize(
    ("port", "reason"), [("closed_port", "no connection"), ("silent_port", "no answer within 1.5 seconds")]
)
def test_without_standbys_it_is_degraded_and_serves(
    health: Callable[..., TestResponse], request: pytest.FixtureRequest, port: str, reason: str
) -> None:
    response = health(read_database_url=f"postgresql://luckygas_app@127.0.0.1:{request.getfixturevalue(port)}/x")
    assert response.status_code == 200
    assert response.json["status"] == "degraded"
    assert response.json["reasons"] == [f"reads: {reason}"]


def test_a_standby_that_is_behind_is_told_from_one_that_is_away(
    health: Callable[..., TestResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SECONDS_BEHIND", "7")
    assert health().json["reasons"] == ["reads: the standby is behind: more than 1.5 seconds"]


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_without_a_sentinel_it_is_degraded_and_serves(
    health: Callable[..., TestResponse], request: pytest.FixtureRequest, port: str
) -> None:
    port = request.getfixturevalue(port)
    sentinels = ",".join([f"127.0.0.1:{port}"] * 3)
    response = health(redis_url=f"redis+sentinel://luckygas_app@{sentinels}/luckygas")
    assert response.status_code == 200
    assert response.json["reasons"] == ["redis: no sentinel names a master"]
    assert str(port) not in response.get_data(as_text=True)


def test_a_redis_that_refuses_us_is_told_from_one_that_is_away(health: Callable[..., TestResponse]) -> None:
    response = health(redis_password="wrong")  # noqa: S106
    assert response.json["checks"]["redis"]["reason"] == "it refuses the password"


@pytest.mark.parametrize(
    ("port", "reason"), [("closed_port", "no connection"), ("silent_port", "no answer within 1.5 seconds")]
)
def test_without_the_database_it_is_down(
    health: Callable[..., TestResponse], request: pytest.FixtureRequest, port: str, reason: str
) -> None:
    port = request.getfixturevalue(port)
    response = health(database_url=f"postgresql://luckygas_app@127.0.0.1:{port}/luckygas")
    assert response.status_code == 503
    assert response.json["status"] == "down"
    assert response.json["checks"]["database"] == {"status": "down", "reason": reason}
    assert str(port) not in response.get_data(as_text=True)


def test_all_reasons_are_listed(health: Callable[..., TestResponse], silent_port: int) -> None:
    response = health(
        database_url=f"postgresql://luckygas_app@127.0.0.1:{silent_port}/luckygas",
        redis_url=f"redis://luckygas_app@127.0.0.1:{silent_port}/0",
    )
    assert response.json["status"] == "down"
    assert response.json["reasons"] == ["database: no answer within 1.5 seconds", "redis: no answer"]


def test_where_the_database_should_be_is_not_shown(health: Callable[..., TestResponse]) -> None:
    response = health(database_url="postgresql://luckygas_app@/luckygas?host=/nonexistent")
    assert response.status_code == 503
    assert "nonexistent" not in response.get_data(as_text=True)


def test_an_empty_database_is_told_what_it_lacks(
    health: Callable[..., TestResponse],
    new_database: Callable[[], str],
    environ_of: Callable[[str], dict[str, str]],
) -> None:
    response = health(database_url=environ_of(new_database())["LUCKYGAS_DATABASE_URL"])
    assert response.status_code == 503
    assert response.json["checks"]["database"]["reason"] == "the schema is missing: run luckygas-app migrate"


@pytest.mark.parametrize(
    ("known", "status", "reason"),
    [
        (("9999", AT), 503, f"the schema is at {AT}, this release needs 9999: run luckygas-app migrate"),
        # A newer release has migrated already, while this one still serves.
        (("0000",), 200, None),
    ],
)
def test_a_schema_may_be_newer_than_the_release_but_not_older(
    health: Callable[..., TestResponse],
    monkeypatch: pytest.MonkeyPatch,
    known: tuple[str, ...],
    status: int,
    reason: str | None,
) -> None:
    monkeypatch.setattr("luckygas.ops.checks.known_revisions", lambda: known)
    response = health()
    assert response.status_code == status
    assert response.json["checks"]["database"]["reason"] == reason


def test_busy_connections_do_not_hide_a_healthy_database(app_with: Callable[..., Flask]) -> None:
    app = app_with(web_threads=1)
    with app.extensions["luckygas"].engine.connect():
        assert app.test_client().get("/api/v1/health").json["status"] == "ok"


def test_being_alive_needs_neither_database_nor_redis(app_with: Callable[..., Flask], silent_port: int) -> None:
    app = app_with(
        instance="b",
        database_url=f"postgresql://luckygas_app@127.0.0.1:{silent_port}/luckygas",
        redis_url=f"redis://luckygas_app@127.0.0.1:{silent_port}/0",
    )
    began = time.monotonic()
    response = app.test_client().get("/healthz")
    assert time.monotonic() - began < database.CONNECT_TIMEOUT_SECONDS
    assert response.json == {"version": "0.1.0", "release": "0.1.0", "instance": "b", "status": "ok"}


# --- the probe ---


def test_askers_share_one_check() -> None:
    ran = []
    hold = threading.Event()

    def check() -> None:
        ran.append(1)
        hold.wait(60)

    probe = Probe(check)
    answers = [probe.start() for _ in range(3)]
    hold.set()
    assert [answer.result(timeout=60) for answer in answers] == [None] * 3
    assert len(ran) == 1
    assert probe.start().result(timeout=60) is None
    assert len(ran) == 2


def test_a_check_that_breaks_breaks_for_its_asker() -> None:
    with pytest.raises(ZeroDivisionError):
        Probe(lambda: 1 / 0).start().result(timeout=60)
