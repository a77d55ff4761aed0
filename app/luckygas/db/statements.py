"""Statements as spans: what was asked, without the values, and for how long."""

from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, event

from luckygas import spans

_KEY = "span"


def watch(engine: Engine) -> None:
    """Make a span of each statement on `engine` that belongs to a recorded trace; call it before others listen."""
    event.listen(engine, "begin", _watch_transaction)
    event.listen(engine, "handle_error", _fail)


def _watch_transaction(connection: Connection) -> None:
    # Listeners of the engine itself would be called for all statements of all requests.
    if spans.current() is not None and not event.contains(connection, "before_cursor_execute", _begin):
        event.listen(connection, "before_cursor_execute", _begin)
        event.listen(connection, "after_cursor_execute", _end)


def _begin(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    operation = statement.split(None, 1)[0].upper()
    attributes = {
        "db.system.name": "postgresql",
        "db.namespace": connection.connection.driver_connection.info.dbname,
        "db.operation.name": operation,
        "db.query.text": statement,
    }
    connection.info[_KEY] = spans.begin(operation, kind="client", attributes=attributes)


def _end(connection: Connection, *_: Any) -> None:
    if (span := connection.info.pop(_KEY, None)) is not None:
        span.end()


def _fail(context: ExceptionContext) -> None:
    connection = context.connection
    if connection is None or connection.invalidated:
        return
    if (span := connection.info.pop(_KEY, None)) is not None:
        spans.fail(span, context.original_exception)
        span.end()
