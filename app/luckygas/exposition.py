"""The process that serves the metrics: what all the others counted, and how things stand at this moment.

A scrape costs the same however many orders there are: it reads what is open and what a day brought, never all.
"""

import contextlib
import logging.config
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, override
from zoneinfo import ZoneInfo

import click
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import InfoMetricFamily as Info
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from luckygas.accounts import remarks
from luckygas.accounts.models import ApiKey
from luckygas.audit import service as audit
from luckygas.audit.tables import AuditCheck
from luckygas.billing import service as billing
from luckygas.config import Settings
from luckygas.jobs import service as jobs
from luckygas.ops.checks import check_database, check_redis
from luckygas.ops.health import reason_of
from luckygas.ops.logging import configuration
from luckygas.ops.probe import Probe
from luckygas.orders import service as orders
from luckygas.resources import Resources
from luckygas.version import RELEASE, __version__

DEADLINE_SECONDS: Final = 3.0


@click.command()
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def metrics(directory: Path, port: int) -> None:
    """Serve what the other processes counted in DIRECTORY, and how things stand, on 127.0.0.1:PORT."""
    settings = Settings.from_environ()
    logging.config.dictConfig(configuration(settings))
    serve(settings, directory=directory, port=port)


class State(Collector):
    """Looks at each scrape, and within bounded time; what it could not see is missing, and said to be."""

    def __init__(self, held: Resources) -> None:
        """Prepare; nothing is asked before the first scrape."""
        self._held = held
        self._dependencies = {
            "database": Probe(partial(check_database, held.engine)),
            "reads": Probe(partial(check_database, held.read_engine)),
            "redis": Probe(partial(check_redis, held)),
        }
        self._look = Probe(self._look_at_work)
        self._breakers = Probe(self._look_at_breakers)
        self._work: tuple[orders.Backlog, jobs.Backlog, billing.Backlog] | None = None
        self._open: dict[str, bool] = {}
        self._keys: tuple[Sequence[ApiKey], Sequence[remarks.Remark]] | None = None
        self._audit: AuditCheck | None = None

    @override
    def collect(self) -> Iterator[Metric]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        asked = {name: probe.start() for name, probe in self._dependencies.items()}
        look, breakers = self._look.start(), self._breakers.start()
        yield Info("luckygas_release", "Which code runs.", {"version": __version__, "release": RELEASE})
        yield _each(
            "luckygas_dependency_up",
            "1 while the service reaches it. Without the database it is down, without another one degraded.",
            "dependency",
            {name: reason_of(answer, deadline) is None for name, answer in asked.items()},
        )
        if reason_of(breakers, deadline) is None:
            help_text = "1 while an outside company is left alone since it failed too often."
            yield _each("luckygas_breaker_open", help_text, "partner", self._open)
        if reason_of(look, deadline) is None and self._work is not None:
            yield from _of_orders(self._work[0])
            yield from _of_jobs(self._work[1])
            yield from _of_money(self._work[2], zone=self._held.settings.timezone)
        if self._keys is not None:
            yield from _of_keys(*self._keys)
        if self._audit is not None:
            yield from _of_audit(self._audit)

    def _look_at_work(self) -> None:
        self._work = self._keys = self._audit = None
        zone = self._held.settings.timezone
        # That the database is away is said by its own probe, and must not take the rest of the page along.
        with contextlib.suppress(SQLAlchemyError), self._held.sessions.begin() as session:
            self._work = (
                orders.backlog(session, today=self._held.today(), zone=zone),
                jobs.backlog(session),
                billing.backlog(session),
            )
            self._audit = audit.last_check(session)
            now = datetime.now(UTC)
            unusual = remarks.unusual(session, now=now, today=self._held.today())
            self._keys = remarks.ending(session, now=now), unusual

    def _look_at_breakers(self) -> None:
        clients = self._held.clients.all()
        self._open = {partner.name: partner.breaker.seconds_until_retry() is not None for partner in clients}


def serve(settings: Settings, *, directory: Path, port: int) -> None:
    """Serve on loopback until told to stop. `directory` is where the other processes count."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    registry.register(State(Resources.create(settings, name="luckygas-metrics")))
    _, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    thread.join()


def _each(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    metric = Gauge(name, help_text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric


def _since(name: str, help_text: str, moment: datetime | None) -> Iterator[Metric]:
    if moment is not None:
        yield Gauge(name, help_text, moment.timestamp())


def _of_orders(found: orders.Backlog) -> Iterator[Metric]:
    yield _each("luckygas_orders", "Orders that are neither delivered nor cancelled.", "status", found.open)
    yield from _since(
        "luckygas_order_waiting_since_timestamp_seconds",
        "Since when the oldest order that is due today or before is on no route.",
        found.waiting_since,
    )
    yield Gauge("luckygas_orders_delivered_last_day", "Orders delivered within the last 24 hours.", found.delivered)
    yield Gauge("luckygas_revenue_last_day_twd", "What these were worth, in TWD.", found.revenue_twd)


def _of_jobs(found: jobs.Backlog) -> Iterator[Metric]:
    yield _each("luckygas_jobs", "Jobs in the queue: todo, doing, or failed for good.", "status", found.jobs)
    yield from _since(
        "luckygas_job_waiting_since_timestamp_seconds",
        "Since when the oldest job that is due waits for somebody to do it.",
        found.waiting_since,
    )
    yield Gauge("luckygas_worker_up", "1 while somebody does the jobs.", found.has_worker)


def _of_money(found: billing.Backlog, *, zone: ZoneInfo) -> Iterator[Metric]:
    yield _each(
        "luckygas_balance_twd",
        "What the books say: receivable is owed by customers; what came in from nobody knows whom (unassigned) and all "
        "that was ever sold (sales) are negative.",
        "account",
        found.balances,
    )
    yield Gauge("luckygas_invoices_wanted", "E-invoices that are not issued yet, a thousand at most.", found.invoices)
    yield from _since(
        "luckygas_invoice_wanted_since_timestamp_seconds",
        "Since when the oldest of these is wanted.",
        found.invoices_since,
    )
    yield Gauge("luckygas_payments_unassigned", "Payments of nobody knows whom, a thousand at most.", found.unassigned)
    if found.open_since is not None:
        over = datetime.combine(found.open_since + timedelta(days=1), datetime.min.time(), zone)
        yield Gauge(
            "luckygas_day_to_close_timestamp_seconds",
            "When the first day ended that has bookings and is not closed, where days are closed at all.",
            over.timestamp(),
        )


def _of_keys(ending: Sequence[ApiKey], unusual: Sequence[remarks.Remark]) -> Iterator[Metric]:
    metric = Gauge(
        "luckygas_key_expires_timestamp_seconds",
        "When a key that is in use ends, from thirty days before on.",
        labels=["key", "name"],
    )
    for row in ending:
        metric.add_metric([row.id, row.name], row.expires_at.timestamp())
    yield metric
    metric = Gauge(
        "luckygas_key_unusual",
        "1 for what is unusual about the use of a key: network, volume or refused.",
        labels=["key", "name", "what"],
    )
    for remark in unusual:
        metric.add_metric([remark.key_id, remark.name, remark.what], 1)
    yield metric


def _of_audit(found: AuditCheck) -> Iterator[Metric]:
    yield Gauge("luckygas_audit_unbroken", "0 when the audit log was found to be changed or cut off.", not found.broken)
    yield Gauge("luckygas_audit_checked_timestamp_seconds", "When that was looked at.", found.at.timestamp())
