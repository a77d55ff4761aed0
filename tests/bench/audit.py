"""Orders placed per second with the audit log, without it, and with a single strand: ratios of the same minute."""

import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import date

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from factories import make_customer, order_body
from luckygas.audit import recording
from luckygas.audit.actor import Actor
from luckygas.config import MigrationSettings
from luckygas.db.migrate import upgrade
from luckygas.orders import service as orders
from luckygas.orders.schemas import OrderIn

SIDES = ("without", "shipped", "one strand")
PROCESSES, THREADS, SECONDS = 2, 6, 4.0
TODAY = date(2026, 5, 1)
ONE_STRAND = "strands CONSTANT integer := 1"


def sessions_of(name: str, *, logged: bool) -> sessionmaker[Session]:
    """Return sessions of the database `name`."""
    url = os.environ["TEST_DATABASE_URL"]
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url, dbname=name), pool_size=THREADS, max_overflow=0
    )
    made = sessionmaker(engine, expire_on_commit=False)
    if logged:
        recording.listen(made, actor=lambda: Actor("service:bench"))
    return made


def prepare(side: str) -> str:
    """Make a database for `side` with a customer in it, and return its name."""
    name = f"bench_{side.replace(' ', '_')}"
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = os.environ["TEST_DATABASE_URL"].replace("/postgres?", f"/{name}?")
    upgrade(MigrationSettings(database_url=url, database_password=""))
    with sessions_of(name, logged=False).begin() as session:
        make_customer(session)
        if side == "one strand":
            source = session.scalar(text("SELECT pg_get_functiondef('audit_append'::regproc)"))
            changed = source.replace("strands CONSTANT integer := 8", ONE_STRAND)
            session.connection().connection.driver_connection.execute(changed.encode())
    return name


def place(name: str, logged: bool, count: Callable[[int], None]) -> None:  # noqa: FBT001 - called by multiprocessing
    """Place orders for a while from several threads."""
    sessions = sessions_of(name, logged=logged)
    body = OrderIn.model_validate(order_body(1))
    placed = [0] * THREADS
    until = time.monotonic() + SECONDS

    def work(number: int) -> None:
        while time.monotonic() < until:
            with sessions.begin() as session:
                orders.place(session, order=body, by="bench", today=TODAY)
            placed[number] += 1

    threads = [threading.Thread(target=work, args=[number]) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count(sum(placed))


def measure(name: str, *, logged: bool) -> float:
    """Return the orders per second that all processes together place."""
    results: multiprocessing.Queue[int] = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=place, args=[name, logged, results.put]) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    total = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return total / SECONDS


def main(rounds: int) -> None:
    """Print each round and the medians."""
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
        server.execute("CREATE ROLE luckygas_app")
    names = {side: prepare(side) for side in SIDES}
    for flush_ms in (0, 3):
        with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
            server.execute(f"ALTER SYSTEM SET commit_delay = {flush_ms * 1000}".encode())
            server.execute("ALTER SYSTEM SET commit_siblings = 0")
            server.execute("SELECT pg_reload_conf()")
        print(f"orders per second, {PROCESSES * THREADS} at once, a flush takes {flush_ms} ms more than the disk")
        ratios: dict[str, list[float]] = {side: [] for side in SIDES}
        for round_ in range(1, rounds + 1):
            rates = {side: measure(name, logged=side != "without") for side, name in names.items()}
            for side in SIDES:
                ratios[side].append(rates[side] / rates["without"])
            print(f"  round {round_}", *(f"{side} {rates[side]:.0f}" for side in SIDES), sep="   ", flush=True)
        print("  median of the ratios", *(f"{side} {statistics.median(ratios[side]):.2f}" for side in SIDES), sep="   ")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
