import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Engine, exc, text

from luckygas.config import Settings
from luckygas.db import engine as database


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = database.create(
        url=settings.database_url, password=settings.database_password, application_name="luckygas-tests", pool_size=1
    )
    yield engine
    engine.dispose()


@pytest.fixture
def terminate(superuser: psycopg.Connection) -> Callable[[], None]:
    """Return a function that ends the engine's connections from the server's side."""

    def end() -> None:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'luckygas-tests'"
        )

    return end


def test_every_transaction_is_bounded_and_leaves_no_trace_in_its_session(engine: Engine) -> None:
    names = list(database.TRANSACTION_BOUNDS)
    for _ in range(2):
        with engine.connect() as connection:
            assert [connection.scalar(text(f"SHOW {name}")) for name in names] == ["10s", "5s", "30s"]
    raw = engine.raw_connection()
    raw.driver_connection.autocommit = True
    assert [raw.driver_connection.execute(f"SHOW {name}").fetchone()[0] for name in names] == ["0", "0", "0"]
    raw.driver_connection.autocommit = False
    raw.close()


def test_a_slow_statement_is_ended_by_the_server(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database.TRANSACTION_BOUNDS, "statement_timeout", "50ms")
    with engine.connect() as connection, pytest.raises(exc.OperationalError) as caught:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert database.is_unavailable(caught.value)


def test_a_connection_that_died_while_idle_is_replaced(
    engine: Engine, terminate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.connect():
        pass
    terminate()
    monkeypatch.setattr(database, "IDLE_SECONDS_BEFORE_PING", 0)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_connection_that_died_just_now_costs_one_request(engine: Engine, terminate: Callable[[], None]) -> None:
    with engine.connect():
        pass
    terminate()
    with pytest.raises(exc.OperationalError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert database.is_unavailable(caught.value)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "POOL_TIMEOUT_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_waiting_for_a_connection_ends(engine: Engine) -> None:
    with engine.connect(), engine.connect(), pytest.raises(exc.TimeoutError) as caught, engine.connect():
        pass
    assert database.is_unavailable(caught.value)


def test_a_server_that_says_nothing_is_given_up(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_SECONDS", 2)
    engine = database.create(
        url=f"postgresql://luckygas_app@127.0.0.1:{silent_port}/x", password="", application_name="x", pool_size=1
    )
    began = time.monotonic()
    with pytest.raises(exc.OperationalError):
        engine.connect()
    assert time.monotonic() - began < 20


def test_whoever_asks_an_idle_read_connection_whether_it_lives_is_impatient(settings: Settings) -> None:
    """It may lead to a pool that has no standby, and holds every question for ten seconds."""
    reads = database.create(
        url=settings.database_url,
        password=settings.database_password,
        application_name="luckygas-tests",
        pool_size=1,
        only_reads=True,
    )
    with reads.connect() as connection:
        raw = connection.connection.driver_connection
        connection.execute(text("SELECT 1"))
        assert raw.patience == database.STATEMENT_PATIENCE_SECONDS
    assert raw.patience == database.BEGIN_PATIENCE_SECONDS
    reads.dispose()


def test_no_value_gets_into_a_message(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(exc.DBAPIError) as caught:
        connection.execute(text("SELECT * FROM nowhere WHERE mobile = :mobile"), {"mobile": "0912345678"})
    assert "0912345678" not in str(caught.value)
