"""Writing the company into an empty database by COPY, in one transaction: all of it is there in the end, or nothing.

It is written as the schema's owner, who may say which ids rows get, so that nothing need be read back. Memory holds
some bytes of each customer and two batches of orders, however many those become.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from luckygas.billing import closing
from luckygas.demo.records import BY, COLUMNS, OPEN_DAYS, Batch, Company, Records

_MUST_BE_EMPTY: Final = ("customers", "drivers", "cylinders", "prices", "orders", "ledger_entries", "closings")

_CARRIED: Final = """
INSERT INTO ledger_carried (up_to, account, driver_id, amount_twd)
SELECT (SELECT max(id) FROM ledger_entries), account, driver_id, sum(amount_twd)
FROM ledger_lines GROUP BY account, driver_id
"""

# Every entry would ask for itself whether its day is closed. None is: nobody closes one while the tables are locked.
_DAY_IS_OPEN: Final = "ALTER TABLE ledger_entries {} TRIGGER day_is_open"

type Report = Callable[[str, int, int], None]
"""Is told what is being written, how much of it is done, and how much there is."""


class NotEmpty(Exception):  # noqa: N818 - a state, not a defect
    """The database holds something that could be true."""


def load(connection: psycopg.Connection, company: Company, report: Report) -> int:
    """Write `company`, commit it, and return the number of its orders.

    Raises `NotEmpty` for a database that anybody used, and `ValueError` for days that the calendar does not know, both
    before anything is changed.
    """
    records, orders = Records(company), 0
    with connection.transaction():
        for setting in ("lock_timeout = '5s'", "statement_timeout = 0", "idle_in_transaction_session_timeout = 0"):
            connection.execute(f"SET LOCAL {setting}".encode())
        # Who would write meanwhile waits or is refused; who reads does neither.
        tables = sql.SQL(", ").join(map(sql.Identifier, _MUST_BE_EMPTY))
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables))
        _check_empty(connection)
        connection.execute(_DAY_IS_OPEN.format("DISABLE").encode())
        _copy(connection, records.start())
        for done, batch in _ahead(records.customers()):
            _copy(connection, batch)
            report("customers", done, company.customers)
        for day, orders, batch in _ahead(records.orders()):  # noqa: B007 - the last count is the result
            _copy(connection, batch)
            report("days of orders", (day - company.first_day).days + 1, company.days)
        connection.execute(_DAY_IS_OPEN.format("ENABLE").encode())
        connection.execute(_CARRIED)
        _close(connection, company.until - timedelta(days=OPEN_DAYS))
        for table in (table for table, columns in COLUMNS.items() if columns.startswith("id,")):
            _go_on_behind_the_last(connection, table)
    connection.autocommit = True
    for table in COLUMNS:
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
    return orders


def _close(connection: psycopg.Connection, day: date) -> None:
    """Close a day and with it all before, or whoever tries out to close one would have to begin with the first."""
    report = closing.Report(
        day=day, shares=(), total=closing.total_of(()), invoices=closing.invoices.Tally(),
        differences=("closed with all days before it, by demo-data",),
    )  # fmt: skip
    connection.execute(
        "INSERT INTO closings (day, report, by) VALUES (%s, %s, %s)", [day, Jsonb(closing.as_json(report)), BY]
    )


def _check_empty(connection: psycopg.Connection) -> None:
    for table in _MUST_BE_EMPTY:
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
        if connection.execute(query).fetchone()[0]:
            raise NotEmpty(
                f"this database has {table} already: demo data is written only where there were never any, "
                "since it could be taken for true. Nothing was changed"
            )


def _ahead[T](batches: Iterator[T]) -> Iterator[T]:
    """Yield each batch and write the next one down meanwhile: the database takes longer to take one in."""
    with ThreadPoolExecutor(max_workers=1) as writer:
        coming = writer.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = writer.submit(next, batches, None)
            yield batch


def _copy(connection: psycopg.Connection, batch: Batch) -> None:
    with connection.cursor() as cursor:
        for table, rows in batch.items():
            # Both names are ours. One COPY for each batch, since what is left to check piles up until its end.
            with cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN".encode()) as copy:
                copy.write("".join(rows))


def _go_on_behind_the_last(connection: psycopg.Connection, table: str) -> None:
    """Let the next row that the service stores get an id of its own."""
    connection.execute(
        sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {} HAVING max(id) IS NOT NULL").format(
            sql.Literal(table), sql.Identifier(table)
        )
    )
