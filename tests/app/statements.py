"""What the database is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event


@contextmanager
def asked(of: Engine | Connection) -> Iterator[list[tuple[str, object]]]:
    """Collect each statement that is sent over `of`, with its parameters."""
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, given: object, *_: object) -> None:
        seen.append((statement, given))

    event.listen(of, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(of, "before_cursor_execute", note)
