import os
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import psycopg
import pytest
from click.testing import CliRunner, Result

from luckygas.billing.schemas_closings import ReportOut
from luckygas.cli import main
from luckygas.config import MigrationSettings
from luckygas.db.migrate import upgrade
from luckygas.demo.demand import FIRST_DAY, NEW_YEAR
from luckygas.demo.load import load
from luckygas.demo.records import COLUMNS, Company, Records
from luckygas.orders.models import NEXT, OrderStatus
from luckygas.taiwan import normalise_landline, normalise_mobile, normalise_tax_number

UNTIL = date(2026, 5, 1)
ARGUMENTS = ("--customers", "300", "--days", "400", "--until", f"{UNTIL}", "--seed", "7")


@pytest.fixture
def place(environ_of: Callable[[str], dict[str, str]], new_database: Callable[[], str]) -> dict[str, str]:
    """Return the environment of a database that has nothing but the schema."""
    environ = environ_of(new_database())
    upgrade(MigrationSettings.from_environ(environ))
    return environ


@pytest.fixture
def run(place: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(main, ["demo-data", *arguments])


@pytest.fixture
def database(place: dict[str, str]) -> psycopg.Connection:
    name = place["LUCKYGAS_DATABASE_URL"].partition("@/")[2].partition("?")[0]
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], dbname=name, autocommit=True) as connection:
        yield connection


def counted(database: psycopg.Connection, query: str) -> int:
    return database.execute(query.encode()).fetchone()[0]


def all_rows(company: Company) -> dict[str, list[str]]:
    records = Records(company)
    rows = {table: [] for table in COLUMNS}
    for batch in (
        records.start(),
        *(batch for _, batch in records.customers()),
        *(batch for *_, batch in records.orders()),
    ):
        for table, written in batch.items():
            rows[table] += written
    return rows


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("customers", "(kind, name, mobile, address) VALUES ('shop', 'x', '0912345678', 'y')"),
        ("prices", "(cylinder_kg, unit_price_twd, valid_from, by) VALUES (20, 850, '2026-05-01', 'x')"),
    ],
)
def test_a_database_that_somebody_used_is_left_as_it_is(
    run: Callable[..., Result], database: psycopg.Connection, table: str, row: str
) -> None:
    database.execute(f"INSERT INTO {table} {row}".encode())
    refused = run(*ARGUMENTS)
    assert refused.exit_code == 1
    assert f"this database has {table} already" in refused.stderr
    assert refused.stdout == ""
    counts = [database.execute(f"TABLE {name}".encode()).rowcount for name in COLUMNS]
    assert counts == [int(name == table) for name in COLUMNS]


def test_days_without_a_calendar_are_refused_before_anything_is_written(
    run: Callable[..., Result], database: psycopg.Connection
) -> None:
    refused = run("--customers", "3", "--days", "10", "--until", f"{FIRST_DAY}")
    assert refused.exit_code == 1
    assert "choose other days" in refused.stderr
    assert counted(database, "SELECT count(*) FROM customers") == 0


def test_who_reads_meanwhile_neither_waits_nor_sees_any_of_it(
    place: dict[str, str], database: psycopg.Connection
) -> None:
    database.execute("SET lock_timeout = '1ms'")
    seen = []

    def look(*_: object) -> None:
        seen.extend(database.execute(f"TABLE {table}".encode()).rowcount for table in COLUMNS)

    with psycopg.connect(MigrationSettings.from_environ(place).database_url) as connection:
        load(connection, Company(customers=40, days=90, until=UNTIL, seed=3), look)
    assert set(seen) == {0}


def test_the_company_is_written_in_full_and_holds_together(
    run: Callable[..., Result], database: psycopg.Connection
) -> None:
    done = run(*ARGUMENTS)
    assert done.exit_code == 0, done.output
    orders = counted(database, "SELECT count(*) FROM orders")
    assert done.stdout == f"300 customers, {orders:,} orders from 2025-03-28 to 2026-05-01\n"
    assert done.stderr.splitlines()[-1].startswith("days of orders 100 %")

    customers = database.execute("SELECT mobile, landline, tax_number FROM customers").fetchall()
    assert len(customers) == 300
    for mobile, landline, tax_number in customers:
        assert normalise_mobile(mobile) == mobile
        assert landline is None or normalise_landline(landline) == landline
        assert tax_number is None or normalise_tax_number(tax_number) == tax_number

    # Each order's events lead to where it is, one version each, by moves that the service allows.
    paths = database.execute(
        "SELECT array_agg(order_events.status ORDER BY order_events.id), min(orders.status), min(orders.version),"
        "       array_agg(order_events.version ORDER BY order_events.id),"
        "       bool_and(at <= '2026-05-02') AND min(at) = min(placed_at)"
        " FROM orders LEFT JOIN order_events ON order_id = orders.id GROUP BY orders.id"
    ).fetchall()
    assert len(paths) == orders
    for steps, status, version, versions, in_time in paths:
        assert (steps[0], steps[-1], versions) == ("placed", status, list(range(1, version + 1)))
        assert all(after in NEXT[OrderStatus(before)] for before, after in pairwise(steps))
        assert in_time
    assert {path[1] for path in paths} == {"placed", "delivered", "cancelled"}
    assert (
        counted(database, "SELECT count(*) FROM orders WHERE placed_at::date NOT BETWEEN '2025-03-28' AND '2026-05-01'")
        == 0
    )
    assert (
        counted(
            database,
            "SELECT count(*) FROM orders AS a JOIN orders AS b ON b.id = a.id + 1 AND b.placed_at < a.placed_at",
        )
        == 0
    )
    # What was sold cost what the list said.
    wrong = (
        "SELECT count(*) FROM orders JOIN order_lines ON order_id = orders.id JOIN LATERAL ("
        "SELECT unit_price_twd FROM prices WHERE prices.cylinder_kg = order_lines.cylinder_kg"
        " AND valid_from <= placed_at::date ORDER BY valid_from DESC LIMIT 1) AS listed"
        " ON listed.unit_price_twd <> order_lines.unit_price_twd"
    )
    assert counted(database, wrong) == 0
    assert counted(database, "SELECT count(*) FROM order_lines") == orders
    # Each customer has as many cylinders as a deposit was paid for.
    assert counted(database, "SELECT count(*) FROM cylinders WHERE place = 'customer'") * 1500 == counted(
        database, "SELECT sum(amount_twd) FROM customer_deposits"
    )
    # What was delivered was sold; homes and shops have paid for it, restaurants for what is older than two weeks.
    worth = "SELECT sum(quantity * unit_price_twd) FROM order_lines JOIN orders ON orders.id = order_id"
    booked = "SELECT coalesce(sum(amount_twd), 0) FROM ledger_lines"
    assert counted(database, f"{worth} WHERE status = 'delivered'") == -counted(
        database, f"{booked} WHERE account = 'sales'"
    )
    assert counted(database, booked) == 0
    assert counted(database, f"{booked} WHERE account = 'deposits'") == -counted(
        database, "SELECT sum(amount_twd) FROM customer_deposits"
    )
    of_homes = "customer_id IN (SELECT id FROM customers WHERE kind <> 'restaurant')"
    assert counted(database, f"{booked} WHERE account = 'receivable' AND {of_homes}") == 0
    assert (
        0
        < counted(database, f"{booked} WHERE account = 'receivable'")
        < counted(database, f"{booked} WHERE account = 'bank'")
    )
    carried = database.execute("SELECT account, amount_twd FROM ledger_carried ORDER BY 1").fetchall()
    summed = "SELECT account, sum(amount_twd) FROM ledger_lines GROUP BY 1 ORDER BY 1"
    assert carried == database.execute(summed).fetchall()
    # What the service may show of the closing, it can.
    (report,) = database.execute("SELECT report FROM closings").fetchone()
    ReportOut.model_validate(report)
    assert counted(database, "SELECT count(*) FROM ledger_entries WHERE day > '2026-05-01'") == 0
    # The database refuses again what it must.
    assert counted(database, "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'") == 0
    # The service goes on with ids of its own.
    largest = counted(database, "SELECT max(id) FROM orders")
    insert = "INSERT INTO orders (customer_id, status, delivery_address) VALUES (1, 'placed', 'x') RETURNING id"
    assert counted(database, insert) == largest + 1
    assert run(*ARGUMENTS).exit_code == 1


def test_the_same_seed_makes_the_same_company_and_another_one_another() -> None:
    first, same, other = (all_rows(Company(customers=40, days=90, until=UNTIL, seed=seed)) for seed in (3, 3, 4))
    assert first == same
    assert first["customers"] != other["customers"]


def test_homes_burn_more_in_winter_restaurants_order_weekly_and_nobody_at_new_year() -> None:
    rows = all_rows(Company(customers=3000, days=731, until=date(2026, 3, 31), seed=1))
    kinds = {row.split("\t")[0]: row.split("\t")[1] for row in rows["customers"]}
    months: dict[str, dict[str, int]] = {kind: {} for kind in ("household", "shop", "restaurant")}
    days = {}
    for row in rows["orders"]:
        _, customer, *_, placed = row.rstrip().split("\t")
        month = months[kinds[customer]]
        month[placed[5:7]] = month.get(placed[5:7], 0) + 1
        days[placed[:10]] = days.get(placed[:10], 0) + 1
    assert months["household"]["12"] > 1.4 * months["household"]["07"]
    assert 0.8 < months["restaurant"]["11"] / months["restaurant"]["07"] < 1.3
    counts = {kind: sum(month.values()) for kind, month in months.items()}
    each = {kind: counts[kind] / list(kinds.values()).count(kind) for kind in counts}
    assert 731 / each["restaurant"] < 12
    assert 45 < 731 / each["household"] < 95
    for year in NEW_YEAR:
        assert f"{year}" not in days
    assert days["2026-02-12"] > 1.2 * days["2026-03-12"]  # the week before the year of the horse
