import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import exc, text

from factories import customer_body, new_client
from luckygas.access import PUBLIC, SIGNED_IN
from luckygas.config import Settings
from luckygas.db import engine as database
from luckygas.resources import Resources
from luckygas.web.blueprint import access_of, gives_csv, may_read_standby
from luckygas.web.reads import PRIMARY_AFTER_WRITE_SECONDS, STANDBY_REST_SECONDS, Reads
from statements import asked

PATH = "/api/v1/customers"


def same_principal(app: Flask, client: FlaskClient) -> FlaskClient:
    other = app.test_client()
    other.environ_base = client.environ_base
    return other


def entries(app: Flask, client: FlaskClient, path: str = PATH) -> tuple[int, int]:
    """Ask once; return how often the standbys' entry and the primary's were read from."""
    held = Resources.of(app)
    with asked(held.read_engine) as standby, asked(held.engine) as primary:
        assert client.get(path).status_code == 200
    of_standby, of_primary = (
        sum("FROM customers" in statement for statement, _ in seen) for seen in (standby, primary)
    )
    return of_standby, of_primary


STANDBY, PRIMARY = (1, 0), (0, 1)


def test_a_list_is_read_from_a_standby_and_one_object_from_the_primary(committing_app: Flask) -> None:
    writer = new_client(committing_app)
    customer_id = writer.post(PATH, json=customer_body()).json["id"]
    reader = new_client(committing_app)
    assert entries(committing_app, reader) == STANDBY
    assert entries(committing_app, reader, f"{PATH}/{customer_id}") == PRIMARY


def test_whoever_wrote_reads_from_the_primary_on_every_instance_and_nobody_else_does(
    committing_app: Flask, app_with: Callable[..., Flask]
) -> None:
    other_instance = app_with(instance="b")
    writer = new_client(committing_app)
    assert entries(committing_app, writer) == STANDBY
    assert writer.post(PATH, json=customer_body()).status_code == 201
    assert entries(committing_app, writer) == PRIMARY
    assert entries(other_instance, same_principal(other_instance, writer)) == PRIMARY
    assert entries(committing_app, new_client(committing_app)) == STANDBY


def test_a_write_is_forgotten_after_a_while(committing_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = new_client(committing_app)
    writer.post(PATH, json=customer_body())
    assert entries(committing_app, writer) == PRIMARY
    monkeypatch.setattr("luckygas.web.reads.PRIMARY_AFTER_WRITE_SECONDS", 0.2)
    writer = new_client(committing_app)
    writer.post(PATH, json=customer_body())
    time.sleep(0.3)
    assert entries(committing_app, writer) == STANDBY


def test_a_write_that_was_refused_moves_no_reads(committing_app: Flask) -> None:
    client = new_client(committing_app)
    assert client.post(PATH, json={}).status_code == 422
    assert entries(committing_app, client) == STANDBY


def test_without_the_file_nobody_knows_who_wrote_and_all_read_from_the_primary(
    committing_app: Flask, app_with: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(writers_file=tmp_path / "missing" / "writers")
    assert "nobody knows who wrote lately, so the primary answers all" in caplog.messages
    client = new_client(app)
    assert entries(app, client) == PRIMARY
    assert client.post(PATH, json=customer_body()).status_code == 201


def test_without_redis_lists_are_read_from_a_standby_as_ever(
    committing_app: Flask, app_with: Callable[..., Flask], closed_port: int
) -> None:
    app = app_with(redis_url=f"redis://luckygas_app@127.0.0.1:{closed_port}/0")
    client = new_client(app)
    assert entries(app, client) == STANDBY
    assert client.post(PATH, json=customer_body()).status_code == 201
    assert entries(app, client) == PRIMARY


def test_without_standbys_lists_are_answered_by_the_primary(
    committing_app: Flask, app_with: Callable[..., Flask], closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(read_database_url=f"postgresql://luckygas_app@127.0.0.1:{closed_port}/x")
    client = new_client(app)
    assert [entries(app, client) for _ in range(3)] == [PRIMARY] * 3
    assert caplog.messages.count("no standby served this read") == 1, "the next ones do not wait for it"
    Reads.of(app)._standby_rests_until -= STANDBY_REST_SECONDS  # noqa: SLF001
    assert entries(app, client) == PRIMARY
    assert caplog.messages.count("no standby served this read") == 2, "it is tried again after a while"


def test_a_pool_that_has_no_standby_to_give_costs_a_second(
    committing_app: Flask, app_with: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_with()
    client = new_client(app)
    assert entries(app, client) == STANDBY
    with monkeypatch.context() as patch:
        patch.setattr(database, "BEGIN_PATIENCE_SECONDS", 0.2)
        patch.setattr(database, "_SECONDS_BEHIND", "(SELECT 0 FROM pg_sleep(30))")
        began = time.monotonic()
        assert entries(app, client) == PRIMARY
    assert time.monotonic() - began < 20
    Reads.of(app)._standby_rests_until = 0  # noqa: SLF001
    assert entries(app, client) == STANDBY, "the connection that was given up is not used again"


def test_a_standby_that_is_behind_is_passed_over(committing_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = new_client(committing_app)
    with monkeypatch.context() as patch:
        patch.setattr(database, "_SECONDS_BEHIND", "7")
        assert entries(committing_app, client) == PRIMARY
    assert entries(committing_app, client) == STANDBY


def test_a_standby_is_behind_for_less_time_than_a_writer_keeps_to_the_primary() -> None:
    assert database.READS_BEHIND_SECONDS < PRIMARY_AFTER_WRITE_SECONDS


def test_a_refusal_is_no_reason_to_ask_again(committing_app: Flask) -> None:
    client = new_client(committing_app)
    assert client.get(PATH, query_string={"cursor": "nonsense"}).status_code == 422
    assert entries(committing_app, client) == STANDBY


def test_a_list_that_takes_too_long_is_looked_for_once(committing_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    held, client = Resources.of(committing_app), new_client(committing_app)
    assert entries(committing_app, client) == STANDBY
    with held.engine.begin() as other, monkeypatch.context() as patch, asked(held.engine) as primary:
        other.execute(text("LOCK customers"))
        patch.setitem(database.TRANSACTION_BOUNDS, "statement_timeout", "500ms")
        answer = client.get(PATH)
    assert (answer.status_code, answer.json["code"]) == (503, "took_too_long")
    assert "Retry-After" not in answer.headers
    assert not [statement for statement, _ in primary if "FROM customers" in statement]
    assert entries(committing_app, client) == STANDBY, "the standbys are not left alone because of it"


def test_what_is_for_reading_cannot_write(settings: Settings) -> None:
    engine = database.create(
        url=settings.database_url, password=settings.database_password, application_name="x", pool_size=1,
        only_reads=True,
    )  # fmt: skip
    with engine.connect() as connection, pytest.raises(exc.InternalError, match="read-only transaction"):
        connection.execute(text("DELETE FROM idempotency_keys"))
    engine.dispose()


def test_every_list_may_be_answered_by_a_standby_and_no_change(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if "GET" not in rule.methods or access_of(view) in {PUBLIC, SIGNED_IN}:
            assert not may_read_standby(view), rule.rule
        elif gives_csv(view):
            assert not may_read_standby(view), rule.rule  # it logs who takes it along, and reads in blocks after that
        elif not rule.arguments:
            assert may_read_standby(view), rule.rule
