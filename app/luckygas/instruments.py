"""What a process counts while it works, in files that the process of `luckygas.exposition` adds up.

The library would name a file after a process id, so that every process that ever lived would leave one behind and each
scrape would read them all. Here a process takes a seat: the number of seats is that of the processes that ever lived at
once, and whoever takes the seat of a dead one counts on from where that stopped.
"""

import fcntl
import itertools
import os
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Histogram, values

_INSTANCE: Final = os.environ.get("LUCKYGAS_INSTANCE", "local")
_WANTED: Final = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
# A service that cannot keep its figures serves all the same; they are then in memory, and nobody sees them.
_DIRECTORY: Final = Path(_WANTED) if _WANTED and os.access(_WANTED, os.W_OK) else None


class _Seat:
    """Under which name this process counts. Before it has taken a seat, and in a parent of workers, it is number 0."""

    name = f"{_INSTANCE}-0"
    lock: int | None = None


def take_seat() -> None:
    """Count under a name that no other living process has; call it once in each process, before it works."""
    if _DIRECTORY is None:
        return
    for number in itertools.count(1):
        lock = os.open(_DIRECTORY / f"{_INSTANCE}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The kernel gives it back when its holder dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _Seat.name, _Seat.lock = f"{_INSTANCE}-{number}", lock
        return


# Before the first instrument is made, since each takes its values from here.
values.ValueClass = values.MultiProcessValue(lambda: _Seat.name) if _DIRECTORY else values.MutexValue

REQUESTS: Final = Counter(
    "luckygas_http_requests", "Requests that were answered, by the route's rule.", ["method", "route", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    "luckygas_http_request_seconds",
    "How long an answer took.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
JOBS: Final = Counter("luckygas_job_attempts", "Attempts at a job, by how they ended.", ["job", "outcome"])
JOB_SECONDS: Final = Histogram(
    "luckygas_job_seconds", "How long an attempt took.", ["job"], buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120)
)
PARTNER_CALLS: Final = Counter(
    "luckygas_partner_calls", "Calls to outside companies, by how they ended.", ["partner", "outcome"]
)
ATTACKS: Final = Counter("luckygas_refused_attacks", "Requests that looked like an attack, by its kind.", ["kind"])
OFFENCES: Final = Counter("luckygas_offences", "What was held against clients, by its reason.", ["reason"])
DECISIONS: Final = Counter(
    "luckygas_client_decisions", "Clients that were slowed, challenged, blocked, or let in again.", ["decision"]
)
SPANS_MADE: Final = Counter("luckygas_spans_made", "Spans of traces that are recorded.")
SPANS_SENT: Final = Counter(
    "luckygas_spans_sent", "Spans that the collector took; the others were lost, or still wait."
)
REDIS_FAILURES: Final = Counter(
    "luckygas_redis_failures", "How often a question to Redis failed and the service went on without the answer."
)
