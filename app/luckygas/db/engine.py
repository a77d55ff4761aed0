"""Connections to PostgreSQL, written for pgBouncer's transaction pooling in between.

So there is no session state and no start-up option that pgBouncer refuses: what bounds a statement is set inside of
each transaction. Every wait has an end; what the caller then sees is decided in `web.problems`.
"""

import time
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_TIMEOUT_SECONDS: Final = 3
POOL_TIMEOUT_SECONDS: Final = 5
IDLE_SECONDS_BEFORE_PING: Final = 5

TRANSACTION_BOUNDS: Final = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    # A frozen process must not keep the rows that it locked.
    "idle_in_transaction_session_timeout": "30s",
}


def create(*, url: str, password: str, application_name: str, pool_size: int) -> Engine:
    """Return an engine that connects on first use. `url` is a libpq URI without a password.

    One connection more than `pool_size` may be open for a moment: the health check must not wait for requests.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        # The whole URI goes to libpq, which knows sockets, several hosts and what comes later.
        creator=lambda: psycopg.connect(
            url, password=password, connect_timeout=CONNECT_TIMEOUT_SECONDS, application_name=application_name
        ),
        pool_size=pool_size,
        max_overflow=1,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        # Parameters are people's names and addresses: they stay out of error messages and logs.
        hide_parameters=True,
    )
    event.listen(engine, "begin", _bound_transaction)
    event.listen(engine, "checkin", _remember_idle_since)
    event.listen(engine, "checkout", _replace_if_dead)
    return engine


def is_unavailable(error: Exception) -> bool:
    """Tell whether `error` says that the database is away, overloaded or changing its leader.

    Such a request may work when it is sent again; anything else is a defect.
    """
    if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    # Right after a failover a connection may still lead to a server that only reads.
    return error.connection_invalidated or isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction)


def _bound_transaction(connection: Connection) -> None:
    bounds = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in TRANSACTION_BOUNDS.items())
    connection.exec_driver_sql(f"SELECT {bounds}")


def _remember_idle_since(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _replace_if_dead(connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ask a connection that was idle for a while whether it still lives; asking each time would double the trips."""
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < IDLE_SECONDS_BEFORE_PING:
        return
    try:
        connection.autocommit = True  # or BEGIN and ROLLBACK would go along
        connection.execute("")
        connection.autocommit = False
    except psycopg.Error as error:
        raise exc.DisconnectionError from error
