"""Times each list, search and lookup against databases of several sizes; `tests/bench/reads` starts it.

A round asks everything of every database before the next round begins, so that a busy host slows all of them alike.
What is asked for differs from round to round and is taken from the rows that there are.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry, generate_latest
from psycopg.conninfo import conninfo_to_dict
from redis import Redis
from sqlalchemy import event, text

from factories import SECRETS, make_key
from luckygas.access import Role
from luckygas.app import create_app
from luckygas.config import MigrationSettings, Settings
from luckygas.db.migrate import upgrade
from luckygas.demo.load import load
from luckygas.demo.records import Company
from luckygas.exposition import State
from luckygas.orders.schemas import OrderQuery
from luckygas.predictions import service as predictions
from luckygas.resources import Resources
from luckygas.web.pagination import encode
from plans import explained

UNTIL, DAYS = date(2026, 5, 1), 730
ORDERS_OF_A_CUSTOMER = 22
WARM_UP = 6
GOAL = 1.5
SCRAPE = "figures"
PLANS = Path("/plans")


@dataclass(slots=True)
class Place:
    """A database of some size, a service on it, and what can be asked for."""

    orders: int
    app: Flask
    client: FlaskClient
    figures: CollectorRegistry
    largest: dict[str, int]
    statements: list[tuple[str, object]] = field(default_factory=list)
    database_seconds: float = 0

    def rows(self, statement: str) -> list[tuple]:
        with Resources.of(self.app).engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]


def environ_of(database: str, credentials: str) -> dict[str, str]:
    place = conninfo_to_dict(os.environ["TEST_DATABASE_URL"])
    urls = {
        f"LUCKYGAS_{name}DATABASE_URL": f"postgresql://{role}@/{database}?host={place['host']}&port={place['port']}"
        for name, role in (("", "luckygas_app"), ("MIGRATION_", "luckygas_owner"))
    }
    redis = "redis://luckygas_app@127.0.0.1:6379/0"
    rest = {"CREDENTIALS_DIRECTORY": credentials, "LUCKYGAS_REDIS_URL": redis, "LUCKYGAS_CONTACT_EMAIL": "a@example.tw"}
    return urls | rest


def prepare() -> str:
    """Make the roles and the credentials; return where those are."""
    credentials = tempfile.mkdtemp()
    for name, value in SECRETS.items():
        Path(credentials, name).write_text(value, encoding="utf-8")
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as connection:
        for role in ("luckygas_owner", "luckygas_app"):
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    with Redis.from_url(os.environ["TEST_REDIS_URL"]) as redis:
        redis.acl_setuser(
            "luckygas_app", enabled=True, passwords=[f"+{SECRETS['redis_password']}"], keys=["lg:*"], commands=["+@all"]
        )
    return credentials


def build(orders: int, credentials: str) -> Place:
    """Make a database of about so many orders and a service on it."""
    name = f"bench_{orders}"
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER luckygas_owner".encode())
        connection.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Taipei'".encode())
    environ = environ_of(name, credentials)
    own = MigrationSettings.from_environ(environ)
    upgrade(own)
    began = time.monotonic()
    company = Company(customers=orders // ORDERS_OF_A_CUSTOMER, days=DAYS, until=UNTIL, seed=orders)
    with psycopg.connect(own.database_url) as connection:
        written = load(connection, company, lambda *_: None)
    loaded = time.monotonic() - began
    app = create_app(Settings.from_environ(environ))
    resources = Resources.of(app)
    zone, last = ZoneInfo("Asia/Taipei"), 0
    with resources.sessions.begin() as session:
        predictions.learn(session, today=UNTIL, zone=zone)
        key = make_key(session, role=Role.ADMIN)
    while last is not None:
        with resources.sessions.begin() as session:
            last = predictions.predict(session, after_id=last, today=UNTIL, zone=zone)
    predicted = time.monotonic() - began - loaded
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.reveal()}"
    figures = CollectorRegistry()
    figures.register(State(resources))
    place = Place(written, app, client, figures, {})
    for table in ("customers", "orders", "cylinders"):
        ((place.largest[table],),) = place.rows(f"SELECT max(id) FROM {table}")
    watch(place)
    costs = (
        f"loaded in {loaded:.0f} s, {1e6 * loaded / written:.0f} us each;"
        f" learned and predicted in {predicted:.0f} s, {1e3 * predicted / company.customers:.1f} ms a customer"
    )
    print(f"{written:,} orders of {company.customers:,} customers: {costs}", flush=True)
    return place


def watch(place: Place) -> None:
    """Sum up the time that the database takes, and remember what it is asked."""
    resources = Resources.of(place.app)
    for engine in (resources.engine, resources.read_engine):

        @event.listens_for(engine, "before_cursor_execute")
        def _before(_c: object, _cu: object, _s: str, _p: object, context: object, _m: object) -> None:
            context.began = time.perf_counter()

        @event.listens_for(engine, "after_cursor_execute")
        def _after(_c: object, _cu: object, statement: str, given: object, context: object, _m: object) -> None:
            place.database_seconds += time.perf_counter() - context.began
            place.statements.append((statement, given))


def some(place: Place, table: str, rng: Random) -> int:
    return rng.randint(1, place.largest[table])


def customer(place: Place, rng: Random) -> tuple[str, str]:
    """Return the mobile number and the address of some customer."""
    return place.rows(f"SELECT mobile, address FROM customers WHERE id = {some(place, 'customers', rng)}")[0]


def middle(place: Place, path: str, rng: Random) -> str:
    """Return the address of a page in the middle of the list of orders."""
    return f"{path}?cursor={encode(some(place, 'orders', rng), OrderQuery().scope())}"


def near(place: Place, length: int, rng: Random) -> str:
    """Return some neighbouring characters out of an address, behind its city."""
    address = customer(place, rng)[1][3:]
    start = rng.randrange(max(len(address) - length, 1))
    return address[start : start + length]


def both(place: Place, rng: Random) -> str:
    mobile, address = customer(place, rng)
    return f"customers?address={address[3:6]}&phone_ends={mobile[-4:]}"


REQUESTS: dict[str, Callable[[Place, Random], str]] = {
    "customers": lambda *_: "customers",
    "customers, mobile": lambda p, r: f"customers?mobile={customer(p, r)[0]}",
    "customers, last 4 digits": lambda p, r: f"customers?phone_ends={customer(p, r)[0][-4:]}",
    "customers, last 6 digits": lambda p, r: f"customers?phone_ends={customer(p, r)[0][-6:]}",
    "customers, 2 of an address": lambda p, r: f"customers?address={near(p, 2, r)}",
    "customers, 3 of an address": lambda p, r: f"customers?address={near(p, 3, r)}",
    "customers, 5 of an address": lambda p, r: f"customers?address={near(p, 5, r)}",
    "customers, whole address": lambda p, r: f"customers?address={customer(p, r)[1]}",
    "customers, address and digits": both,
    "customers, no such address": lambda *_: "customers?address=民生南西巷弄",
    "one customer": lambda p, r: f"customers/{some(p, 'customers', r)}",
    "deposits of a customer": lambda p, r: f"customers/{some(p, 'customers', r)}/deposits",
    "orders": lambda *_: "orders",
    "orders, page in the middle": lambda p, r: middle(p, "orders", r),
    "orders, delivered": lambda *_: "orders?status=delivered",
    "orders, placed": lambda *_: "orders?status=placed",
    "orders, of a customer": lambda p, r: f"orders?customer_id={some(p, 'customers', r)}",
    "orders, delivered to a customer": lambda p, r: f"orders?status=delivered&customer_id={some(p, 'customers', r)}",
    "orders, wanted on a day": lambda *_: f"orders?wanted_on={UNTIL}",
    "orders, placed and wanted": lambda *_: f"orders?status=placed&wanted_on={UNTIL + timedelta(days=1)}",
    "one order": lambda p, r: f"orders/{some(p, 'orders', r)}",
    "events of an order": lambda p, r: f"orders/{some(p, 'orders', r)}/events",
    "prices": lambda *_: "prices",
    "drivers": lambda *_: "drivers",
    "cylinders": lambda *_: "cylinders",
    "cylinders, serial": lambda p, r: f"cylinders?serial=TW{some(p, 'cylinders', r):08}",
    "cylinders, of a customer": lambda p, r: f"cylinders?customer_id={some(p, 'customers', r)}",
    "cylinders, in the depot": lambda *_: "cylinders?place=depot",
    "cylinders, on trucks": lambda *_: "cylinders?place=truck",
    "one cylinder": lambda p, r: f"cylinders/{some(p, 'cylinders', r)}",
    "moves of a cylinder": lambda p, r: f"cylinders/{some(p, 'cylinders', r)}/moves",
    "stock of cylinders": lambda *_: "cylinders/stock",
    "balances of the books": lambda *_: "ledger/balances",
    "entries of a customer": lambda p, r: f"ledger/entries?customer_id={some(p, 'customers', r)}",
    "account of a customer": lambda p, r: f"customers/{some(p, 'customers', r)}/account",
    "predictions": lambda *_: "predictions",
    "predictions, of a day": lambda _, r: f"predictions?due_on={UNTIL + timedelta(days=r.randrange(9))}",
    "suggestions, open": lambda *_: "suggestions?status=open",
    "suggestions, of a day": lambda *_: f"suggestions?for_day={UNTIL + timedelta(days=1)}",
    "a scrape by Prometheus": lambda *_: SCRAPE,
}


def ask(place: Place, path: str) -> tuple[float, float]:
    """Return how long one request took, and how long of that the database did, in milliseconds."""
    while True:
        place.database_seconds = 0
        place.statements.clear()
        began = time.perf_counter()
        if path == SCRAPE:
            generate_latest(place.figures)
            return 1000 * (time.perf_counter() - began), 1000 * place.database_seconds
        response = place.client.get(f"/api/v1/{path}")
        took = time.perf_counter() - began
        if response.status_code != 429:
            break
        time.sleep(int(response.headers["Retry-After"]))  # the limit of the key is not what is measured
    if response.status_code != 200:
        raise SystemExit(f"{path}: {response.status_code} {response.text}")
    return 1000 * took, 1000 * place.database_seconds


def keep_plans(place: Place, name: str, path: str) -> int:
    """Write down how the database answers a request; return how many pages it looks at for that."""
    ask(place, path)
    asked = list(place.statements)
    lines, pages = [f"GET /api/v1/{path} with {place.orders:,} orders"], 0
    with Resources.of(place.app).engine.connect() as connection:
        for statement, given in asked:
            if statement.lstrip().startswith(("SELECT", "WITH")) and "set_config" not in statement:
                plan, looked_at = explained(connection, statement, given)
                lines += ["", statement, *plan]
                pages += looked_at
    kept = PLANS / f"{name.replace(', ', '-').replace(' ', '-')}-{place.orders}.txt"
    kept.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return pages


def percentiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Build, ask, and print the table."""
    rounds = int(os.environ["LUCKYGAS_BENCH_ROUNDS"])
    credentials = prepare()
    places = [build(int(size), credentials) for size in sys.argv[1:]]
    taken: dict[str, list[list[tuple[float, float]]]] = {name: [[] for _ in places] for name in REQUESTS}
    for number in range(-WARM_UP, rounds):
        rng = Random(number)  # noqa: S311
        for name, path in REQUESTS.items():
            for place, times in zip(places, taken[name], strict=True):
                found = ask(place, path(place, rng))
                if number >= 0:
                    times.append(found)
    sizes = "".join(f"{f'{place.orders:,} orders':>20}" for place in places)
    print(f"{'milliseconds, p50 / p95':32}{sizes}   p95 top/bottom     database p95          pages")
    for name, of_places in taken.items():
        whole = [percentiles([request for request, _ in times]) for times in of_places]
        inside = [percentiles([database for _, database in times])[1] for times in of_places]
        pages = [keep_plans(place, name, REQUESTS[name](place, Random(1))) for place in (places[0], places[-1])]  # noqa: S311
        ratio = whole[-1][1] / whole[0][1]
        columns = "".join(f"{f'{p50:.1f} / {p95:.1f}':>20}" for p50, p95 in whole)
        grown = f"{inside[0]:.1f} to {inside[-1]:.1f}"
        print(
            f"{name:32}{columns}{ratio:>15.2f}{'*' if ratio > GOAL else ' '}{grown:>18}{pages[0]:>8,} to {pages[1]:,}"
        )
    print(f"* misses the goal of {GOAL}")


main()
