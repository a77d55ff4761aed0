"""Figures of the past weeks, from Prometheus and from the database itself."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from appliance.database import postgres
from appliance.doctor.database import primary
from appliance.reports import prometheus
from appliance.reports.report import Line
from appliance.status.machine import DATA

FILE = Path("/etc/luckygas/reports.json")
FULL_SOON_DAYS = 90
REQUESTS = "luckygas_http_requests_total"
SECONDS_BUCKET = "luckygas_http_request_seconds_bucket"
SERVICE = {
    "reached by clients": ('100 * avg_over_time(probe_success{job="blackbox"}[7d])', "%"),
    "95 of 100 requests took less than": (
        f"1000 * histogram_quantile(0.95, sum by (le) (rate({SECONDS_BUCKET}[7d])))",
        " ms",
    ),
    "requests that ended with a 5xx": (
        f'100 * sum(rate({REQUESTS}{{status=~"5.."}}[7d])) / sum(rate({REQUESTS}[7d]))',
        "%",
    ),
    "orders delivered a day": ("avg(avg_over_time(luckygas_orders_delivered_last_day[7d]))", ""),
    "jobs that failed for good": ('max(luckygas_jobs{status="failed"})', ""),
}


def ask(expression: str) -> list[tuple[dict[str, str], float]]:
    """Ask the Prometheus of this machine."""
    return prometheus.ask(json.loads(FILE.read_text())["port"], expression)


def alerts() -> Iterator[Line]:
    """Yield what fired within the week, and for how long."""
    fired = 'sum by (alertname) (count_over_time(ALERTS{alertstate="firing", alertname!~"Watchdog|TestAlert"}[7d:1m]))'
    for labels, minutes in sorted(ask(fired), key=lambda one: -one[1]):
        yield Line(f"{labels['alertname']} for {minutes:.0f} min", labels["alertname"])


def service() -> Iterator[Line]:
    """Yield how the service was within the week."""
    for name, (expression, unit) in SERVICE.items():
        for _labels, value in ask(expression):
            yield Line(f"{name}: {value:.4g}{unit}")


def room() -> Iterator[Line]:
    """Yield how full the disks are, when they will be, and what the databases take."""
    for place in filter(lambda one: Path(one).is_mount(), DATA):
        free = shutil.disk_usage(place).free
        lost = [-value for _, value in ask(f'86400 * deriv(node_filesystem_avail_bytes{{mountpoint="{place}"}}[30d])')]
        days = free / lost[0] if lost and lost[0] > 0 else None
        when = f"at the pace of the month full in {days:.0f} days" if days else "not filling"
        soon = days is not None and days < FULL_SOON_DAYS
        yield Line(
            f"{place}: {free / 1e9:.1f} GB free, {when}",
            f"{place} is full within {FULL_SOON_DAYS} days" if soon else "",
        )
    for name, size in postgres.query(
        primary(), "SELECT datname, pg_size_pretty(pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate"
    ):
        yield Line(f"database {name}: {size}")


def routes() -> Iterator[Line]:
    """Yield the routes that are slow for one request in twenty."""
    slow = f"topk(10, 1000 * histogram_quantile(0.95, sum by (le, route) (rate({SECONDS_BUCKET}[30d]))))"
    for labels, value in sorted(ask(slow), key=lambda one: -one[1]):
        yield Line(f"{value:>8.0f} ms  {labels['route']}")


def statements() -> Iterator[Line]:
    """Yield the statements that the database has worked at the longest."""
    rows = postgres.query(
        primary(),
        "SELECT calls, round(mean_exec_time::numeric, 1), round(total_exec_time::numeric / 1000),"
        " left(regexp_replace(replace(query, '|', '/'), '\\s+', ' ', 'g'), 160)"
        " FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid WHERE datname = 'luckygas'"
        " ORDER BY total_exec_time DESC LIMIT 10",
        database="luckygas",
        timeout=10,
    )
    for calls, mean, total, query in rows:
        yield Line(f"{total:>8} s, {calls} times, {mean} ms each: {query}")


def keys() -> Iterator[Line]:
    """Yield the API keys that are good, how long yet, and when they were last used."""
    rows = postgres.query(
        primary(),
        "SELECT replace(name, '|', '/'), role, extract(day FROM expires_at - now()),"
        " coalesce(extract(day FROM now() - last_used_at) || ' days ago', 'never')"
        " FROM api_keys WHERE revoked_at IS NULL AND expires_at > now() ORDER BY expires_at",
        database="luckygas",
    )
    for name, role, days, used in rows:
        yield Line(f"{name} ({role}) ends in {days} days, last used {used}")
