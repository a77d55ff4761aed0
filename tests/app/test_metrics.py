"""What Prometheus gets: how things stand, and what all processes counted together, whoever of them died."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from redis import ConnectionError as AwayError
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from factories import make_customer, make_order
from gunicorn_server import SEARCHED, Server, environment_in, serving
from luckygas.audit.tables import AuditCheck
from luckygas.billing import bank, invoices
from luckygas.billing import service as billing
from luckygas.clients.banking import Settlement
from luckygas.customers.models import Customer
from luckygas.exposition import State
from luckygas.jobs import queue
from luckygas.ledger import service as ledger
from luckygas.ledger.models import Closing
from luckygas.orders import service as orders
from luckygas.resources import Resources
from luckygas.volatile import Volatile
from plans import pages_read
from waiting import eventually

ORDERS = "/api/v1/orders"


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def seen(held: Resources) -> dict[str, float]:
    """Return what one scrape shows of the state, by name and labels."""
    registry = CollectorRegistry()
    registry.register(State(held))
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


# --- what a process counts ---


def test_requests_are_counted_by_the_rule_of_their_route(client: FlaskClient) -> None:
    rule = f"{ORDERS}/<id:order_id>"
    labels = {"method": "GET", "route": rule}
    before = counted("luckygas_http_requests_total", status="404", **labels)
    timed = counted("luckygas_http_request_seconds_count", **labels)
    for number in (1, 2, 3):
        client.get(f"{ORDERS}/{number}")
    assert counted("luckygas_http_requests_total", status="404", **labels) == before + 3
    assert counted("luckygas_http_request_seconds_count", **labels) == timed + 3


@pytest.mark.parametrize("decision", ["slowed", "challenged", "blocked"])
def test_decisions_are_counted_from_0_on(client: FlaskClient, decision: str) -> None:
    assert REGISTRY.get_sample_value("luckygas_client_decisions_total", {"decision": decision}) is not None


@pytest.mark.parametrize("outcome", ["answered", "refused", "failed", "left_alone"])
def test_calls_to_outside_companies_are_counted_from_0_on(client: FlaskClient, outcome: str) -> None:
    labels = {"partner": "einvoice", "outcome": outcome}
    assert REGISTRY.get_sample_value("luckygas_partner_calls_total", labels) is not None


def test_what_is_made_up_by_a_caller_makes_no_new_series(client: FlaskClient) -> None:
    series = len(list(REGISTRY.collect()))
    for target in ("/a", "/b", "/.env"):
        client.get(target)
        client.open(target, method="BREW")
    names = {
        (sample.labels["method"], sample.labels["route"])
        for metric in REGISTRY.collect()
        if metric.name == "luckygas_http_requests"
        for sample in metric.samples
    }
    assert {("GET", "unmatched"), ("other", "unmatched")} <= names
    assert not [route for _, route in names if route in {"/a", "/b", "/.env"}]
    assert len(list(REGISTRY.collect())) == series


def test_each_failure_of_redis_is_counted() -> None:
    before = counted("luckygas_redis_failures_total")

    def fail(_redis: Redis) -> int:
        raise AwayError("away")

    assert Volatile(Redis()).ask(fail, otherwise=0) == 0
    assert counted("luckygas_redis_failures_total") == before + 1


# --- how things stand ---


def test_all_is_well(app: Flask) -> None:
    found = seen(Resources.of(app))
    assert {name: found[f"luckygas_dependency_up {name}"] for name in ("database", "reads", "redis")} == {
        "database": 1,
        "reads": 1,
        "redis": 1,
    }
    assert found["luckygas_breaker_open google"] == 0
    assert "luckygas_order_waiting_since_timestamp_seconds" not in found
    assert found["luckygas_jobs todo"] == found["luckygas_jobs failed"] == 0


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_without_redis_it_says_so_and_shows_everything_else(
    app_with: Callable[..., Flask], request: pytest.FixtureRequest, port: str
) -> None:
    url = f"redis://luckygas_app@127.0.0.1:{request.getfixturevalue(port)}/0"
    found = seen(Resources.of(app_with(redis_url=url)))
    assert found["luckygas_dependency_up redis"] == 0
    assert found["luckygas_dependency_up database"] == 1
    assert found["luckygas_orders placed"] == 0


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_without_the_database_it_answers_in_time_and_says_nothing_of_orders(
    app_with: Callable[..., Flask], request: pytest.FixtureRequest, port: str
) -> None:
    url = f"postgresql://luckygas_app@127.0.0.1:{request.getfixturevalue(port)}/luckygas"
    found = seen(Resources.of(app_with(database_url=url)))
    assert found["luckygas_dependency_up database"] == 0
    assert found["luckygas_dependency_up redis"] == 1
    assert not [name for name in found if name.startswith(("luckygas_orders", "luckygas_jobs"))]


def test_orders_are_counted_by_what_is_to_be_done(app: Flask, session: Session) -> None:
    held = Resources.of(app)
    placed = [make_order(session) for _ in range(3)]
    later = make_order(session)
    later.wanted_on = held.today() + timedelta(days=2)  # of the day it was placed on, that may be too far ahead
    orders.schedule(session, order_id=placed[0].id, by="x")
    orders.send_out(session, order_id=placed[0].id, by="x")
    orders.finish(session, order_id=placed[0].id, by="x", note="")
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    session.connection().execute(
        text("UPDATE orders SET placed_at = :at WHERE id = :id"), {"at": since, "id": placed[1].id}
    )
    session.connection().execute(
        text("UPDATE orders SET placed_at = :at WHERE id = :id"), {"at": since - timedelta(days=9), "id": later.id}
    )
    session.commit()
    found = seen(held)
    assert (found["luckygas_orders placed"], found["luckygas_orders out"]) == (3, 0)
    assert found["luckygas_order_waiting_since_timestamp_seconds"] == since.timestamp()
    assert found["luckygas_orders_delivered_last_day"] == 1
    assert found["luckygas_revenue_last_day_twd"] == placed[0].total_twd


def test_the_books_are_seen_and_what_is_to_be_done_about_money(app: Flask, session: Session) -> None:
    held = Resources.of(app)
    sold = [make_order(session) for _ in range(2)]
    for order in sold:
        sale = ledger.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=order.total_twd)
        ledger.sell(session, sale=sale, day=held.today(), by="x")
        invoices.want(session, sale=sale)
    came_in = Settlement(id="1", account="9978123456", amount_twd=500, paid_at=datetime.now(UTC))
    bank.receive(session, settlement=came_in, today=held.today())
    session.commit()
    found = seen(held)
    assert found["luckygas_balance_twd receivable"] == -found["luckygas_balance_twd sales"] == 3400
    assert found["luckygas_balance_twd unassigned"] == -500
    assert (found["luckygas_invoices_wanted"], found["luckygas_payments_unassigned"]) == (2, 1)
    assert found["luckygas_invoice_wanted_since_timestamp_seconds"] == pytest.approx(time.time(), abs=600)
    assert "luckygas_day_to_close_timestamp_seconds" not in found
    session.add(Closing(day=held.today() - timedelta(days=9), report={}, by="x"))
    session.commit()
    midnight = datetime.combine(held.today() + timedelta(days=1), datetime.min.time(), held.settings.timezone)
    assert seen(held)["luckygas_day_to_close_timestamp_seconds"] == midnight.timestamp()


def test_a_broken_audit_log_is_seen(app: Flask, session: Session) -> None:
    held = Resources.of(app)
    assert "luckygas_audit_unbroken" not in seen(held)
    for broken in (None, "strand 1, link 2: it was removed"):
        session.add(AuditCheck(heads=[], broken=broken))
        session.commit()
        found = seen(held)
        assert found["luckygas_audit_unbroken"] == (broken is None)
        assert found["luckygas_audit_checked_timestamp_seconds"] == pytest.approx(time.time(), abs=600)


def test_a_job_that_waits_is_seen_with_its_age(app: Flask, session: Session) -> None:
    queue.enqueue(session, "jobs.forget")
    session.commit()
    found = seen(Resources.of(app))
    assert found["luckygas_jobs todo"] == 1
    assert found["luckygas_job_waiting_since_timestamp_seconds"] == pytest.approx(time.time(), abs=60)
    assert found["luckygas_worker_up"] == 0


def test_an_open_breaker_is_seen(app: Flask) -> None:
    held = Resources.of(app)
    breaker = held.clients.sms.breaker
    breaker.open()
    try:
        assert seen(held)["luckygas_breaker_open sms"] == 1
    finally:
        breaker.close()
    assert seen(held)["luckygas_breaker_open sms"] == 0


def test_a_scrape_reads_no_more_when_there_are_many_orders(committing_app: Flask) -> None:
    resources = Resources.of(committing_app)
    with resources.sessions.begin() as session:
        customer_id = make_customer(session).id
        for _ in range(5):
            make_order(session, session.get(Customer, customer_id))

    def pages() -> int:
        def ask() -> None:
            orders.backlog(session, today=resources.today(), zone=resources.settings.timezone)
            billing.backlog(session)

        with resources.sessions() as session:
            return pages_read(session, ask, tables="orders, order_events, order_lines, invoices")

    def deliver(count: int) -> None:
        with resources.sessions.begin() as session:
            session.connection().execute(
                text("""
                WITH gone AS (
                    INSERT INTO orders (customer_id, status, delivery_address, placed_at)
                    SELECT :customer, 'delivered', '臺北市', now() - interval '90 days' FROM generate_series(1, :count)
                    RETURNING id
                ), lines AS (
                    INSERT INTO order_lines (order_id, position, cylinder_kg, quantity, unit_price_twd)
                    SELECT id, 1, 20, 1, 850 FROM gone
                ), invoiced AS (
                    INSERT INTO invoices (order_id, customer_id, amount_twd, status)
                    SELECT id, :customer, 850, 'wanted' FROM gone
                )
                INSERT INTO order_events (order_id, status, version, by, at)
                SELECT id, 'delivered', 2, 'x', now() - interval '90 days' FROM gone
                """),
                {"customer": customer_id, "count": count},
            )

    deliver(2_000)
    few = pages()
    deliver(30_000)
    assert pages() <= few + 10


# --- several processes ---


def total(directory: Path) -> float:
    """Return how many requests for /healthz all processes counted together."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    return registry.get_sample_value("luckygas_http_requests_total", labels) or 0


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Return where the processes of a service count."""
    directory = tmp_path / "counts"
    directory.mkdir()
    return directory


@pytest.fixture
def running(environ: dict[str, str], tmp_path: Path, counts: Path) -> Iterator[Server]:
    """Run the service with two workers, as the unit does."""
    told = {"PROMETHEUS_MULTIPROC_DIR": str(counts), "LUCKYGAS_WEB_WORKERS": "2"}
    with serving(environment_in(tmp_path, environ) | told) as server:
        yield server
        server.stop()


def workers(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def have_followed(server: Server, victims: list[int]) -> bool:
    alive = workers(server)
    return len(alive) == 2 and not set(alive) & set(victims)


def answers(server: Server) -> bool:
    with contextlib.suppress(OSError, HTTPException):
        return server.get("/healthz").status == 200
    return False


def test_all_workers_are_added_up_and_a_killed_one_leaves_its_counts(running: Server, counts: Path) -> None:
    for _ in range(20):
        assert running.get("/healthz").status == 200
    assert total(counts) == 20
    for round_number in range(1, 4):
        eventually(lambda: len(workers(running)) == 2, "the start of two workers")
        victims = workers(running)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        eventually(partial(have_followed, running, victims), "the start of those that follow")
        for _ in range(20):
            eventually(partial(answers, running), "an answer")
        assert total(counts) == 20 + 20 * round_number
    # Two seats, and number 0 of their parent: whoever came later took those of the dead.
    assert {file.stem.rpartition("_")[2] for file in counts.glob("*.db")} <= {"a-0", "a-1", "a-2"}
    assert sorted(file.name for file in counts.glob("*.lock")) == ["a-1.lock", "a-2.lock"]


def test_a_service_that_cannot_keep_its_figures_serves_all_the_same(environ: dict[str, str], tmp_path: Path) -> None:
    script = "from luckygas.app import create_app; print(create_app().test_client().get('/healthz').status_code)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script],
        env=environ | SEARCHED | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "200"


def test_one_page_has_the_counts_of_all_and_the_state(environ: dict[str, str], running: Server, counts: Path) -> None:
    running.get("/healthz")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-c",
            "from luckygas.cli import main; main()",
            "metrics",
            "--directory",
            str(counts),
            "--port",
            str(port),
        ],
        env=environ | SEARCHED,
    )
    try:

        def scraped() -> str:
            with contextlib.suppress(OSError):
                connection = HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", "/metrics")
                return connection.getresponse().read().decode()
            return ""

        page = eventually(scraped, "a page")
    finally:
        server.terminate()
        assert server.wait(timeout=60) == -signal.SIGTERM
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert {"luckygas_http_requests", "luckygas_http_request_seconds", "luckygas_orders"} <= set(families)
    assert {sample.labels["dependency"]: sample.value for sample in families["luckygas_dependency_up"].samples} == {
        "database": 1,
        "reads": 1,
        "redis": 1,
    }
