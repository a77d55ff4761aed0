"""Connections to PostgreSQL, written for pgBouncer's transaction pooling in between.

So there is no session state and no start-up option that pgBouncer refuses: what bounds a statement is set inside of
each transaction. Every wait has an end; what the caller then sees is decided in `web.problems`.
"""

import time
from collections.abc import Generator, Mapping
from typing import Any, Final, override

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from luckygas.db import login, statements

CONNECT_TIMEOUT_SECONDS: Final = 3
READS_CONNECT_TIMEOUT_SECONDS: Final = 2  # the least that libpq takes
POOL_TIMEOUT_SECONDS: Final = 5
IDLE_SECONDS_BEFORE_PING: Final = 5

BEGIN_PATIENCE_SECONDS: Final = 1.0
STATEMENT_PATIENCE_SECONDS: Final = 12.0  # longer than the server's own bound, which ends it with a better reason

READS_BEHIND_SECONDS: Final = 1.5
"""Must stay below the time for which a writer's reads keep to the primary (`web.reads`)."""

# On a primary all of it is null. A standby that has shown all it received is up to date, however long ago that was.
_SECONDS_BEHIND: Final = """\
CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()
THEN coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) ELSE 0 END"""

TRANSACTION_BOUNDS: Final = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    # A frozen process must not keep the rows that it locked.
    "idle_in_transaction_session_timeout": "30s",
}


class ImpatientConnection(login.Connection):
    """Gives up on a server, or on a pool in front of it, that does not answer within `patience` seconds.

    What bounds a statement lies in the server, which is no help when it hangs or when there is none to wait for.
    """

    patience: float = BEGIN_PATIENCE_SECONDS

    @override
    def wait[T](self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # the answer may still come, and would be taken for that of the next statement
            raise


class StandbyBehind(Exception):  # noqa: N818 - a state, not a defect
    """The standby shows what is older than a reader may get."""


class CommitUnanswered(exc.SQLAlchemyError):
    """The connection broke during a COMMIT: what the transaction wrote is there, or nothing of it."""


def create(*, url: str, password: str, application_name: str, pool_size: int, only_reads: bool = False) -> Engine:
    """Return an engine that connects on first use. `url` is a libpq URI without a password.

    One connection more than `pool_size` may be open for a moment: the health check must not wait for requests.
    With `only_reads` every transaction is a read-only one, wherever `url` leads. One on a standby that shows what is
    too old ends with `StandbyBehind` before it begins, and one that nobody answers is given up soon.
    """
    connect = ImpatientConnection.connect if only_reads else login.Connection.connect
    timeout = READS_CONNECT_TIMEOUT_SECONDS if only_reads else CONNECT_TIMEOUT_SECONDS
    engine = create_engine(
        "postgresql+psycopg://",
        # The whole URI goes to libpq, which knows sockets, several hosts and what comes later.
        creator=lambda: connect(url, password=password, connect_timeout=timeout, application_name=application_name),
        pool_size=pool_size,
        max_overflow=1,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        # Parameters are people's names and addresses: they stay out of error messages and logs.
        hide_parameters=True,
    )
    statements.watch(engine)
    event.listen(engine, "begin", _bound_reads if only_reads else _bound_transaction)
    event.listen(engine, "checkin", _remember_idle_since)
    event.listen(engine, "checkout", _replace_if_dead)
    return engine


def is_unavailable(error: Exception) -> bool:
    """Tell whether `error` says that the database is away, overloaded or changing its leader.

    Such a request may work when it is sent again, though after `CommitUnanswered` it would perhaps do its work twice;
    anything else is a defect.
    """
    if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, CommitUnanswered)):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    # Right after a failover a connection may still lead to a server that only reads.
    return error.connection_invalidated or isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction)


def is_too_slow(error: Exception) -> bool:
    """Tell whether the server stopped a statement since it took too long, which it would do on any other server."""
    return isinstance(error, exc.OperationalError) and isinstance(error.orig, psycopg.errors.QueryCanceled)


def _bound_transaction(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT {_set_config(TRANSACTION_BOUNDS)}")


def _bound_reads(connection: Connection) -> None:
    raw = connection.connection.driver_connection
    raw.patience = BEGIN_PATIENCE_SECONDS
    bounds = _set_config(TRANSACTION_BOUNDS | {"transaction_read_only": "on"})
    behind = connection.exec_driver_sql(f"SELECT {_SECONDS_BEHIND}, {bounds}").scalar()
    raw.patience = STATEMENT_PATIENCE_SECONDS
    if behind > READS_BEHIND_SECONDS:
        raise StandbyBehind(f"more than {READS_BEHIND_SECONDS} seconds")


def _set_config(bounds: Mapping[str, str]) -> str:
    return ", ".join(f"set_config('{name}', '{value}', true)" for name, value in bounds.items())


def _remember_idle_since(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()
    if isinstance(connection, ImpatientConnection):
        connection.patience = BEGIN_PATIENCE_SECONDS  # also for the question whether it still lives


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
