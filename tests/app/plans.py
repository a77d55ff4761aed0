"""How much the database looks at to answer: counted in pages, which no other load on the machine changes."""

import os
import re
from collections.abc import Callable

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from statements import asked


def pages_read(session: Session, ask: Callable[[], object], *, tables: str) -> int:
    """Return how many pages all statements of `ask` look at together, once the committed `tables` are in order."""
    name = session.scalar(text("SELECT current_database()"))
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], dbname=name, autocommit=True) as superuser:
        superuser.execute(f"VACUUM (ANALYZE) {tables}".encode())
    connection = session.connection()
    with asked(connection) as seen:
        ask()
    return sum(explained(connection, statement, given)[1] for statement, given in seen)


def explained(connection: Connection, statement: str, given: object) -> tuple[list[str], int]:
    """Return the plan of a statement, which is carried out for that, and how many pages it looks at."""
    plan = list(connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", given).scalars())
    # The first line of its kind is that of the whole statement; one that looks at nothing has none.
    whole = next((line for line in plan if "Buffers: shared" in line), "")
    return plan, sum(int(count) for count in re.findall(r"(?:hit|read)=(\d+)", whole))
