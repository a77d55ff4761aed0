"""Measure what each guard adds to a request; `tests/bench/guards` starts the Redis that it needs and runs this."""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Final

from flask import Flask, Response
from flask.ctx import RequestContext
from redis import Redis

from luckygas import spans
from luckygas.access import Role, Tier
from luckygas.ops import tracing
from luckygas.ops.collector import Recorder
from luckygas.redis_client import watched
from luckygas.volatile import Volatile
from luckygas.web import guard, limits
from luckygas.web.quota import Quota

ROUNDS, REQUESTS, CALLERS = 7, 2000, 400
RECORDED: Final = 150  # whose spans all fit into the queue
LOW, HIGH = "1".zfill(32), "f" * 32
"""Ids of traces of which the first is recorded."""
BODY: Final = {
    "customer_id": 1,
    "lines": [{"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 850}],
    "note": "請先打電話, 後門進 (門口有狗)",
    "delivery_address": "臺北市大同區民生西路 100 號 3 樓",
}
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"

SILENT: Final = SimpleNamespace(ping=lambda: True)
"""A Redis that costs nothing."""
ATTRIBUTES: Final = {
    "db.system.name": "postgresql",
    "db.namespace": "luckygas",
    "db.operation.name": "SELECT",
    "db.query.text": "SELECT orders.id, orders.customer_id, orders.status FROM orders WHERE orders.id = %(id_1)s",
}


def micros(act: Callable[[], object]) -> float:
    """Return the CPU of one call in microseconds."""
    began = time.process_time()
    for _ in range(REQUESTS):
        act()
    return (time.process_time() - began) / REQUESTS * 1e6


def look_within(context: RequestContext) -> None:
    """Look at a request for signs of attacks."""
    with context:
        guard._look()  # noqa: SLF001


def enter(context: RequestContext) -> None:
    """Do what `look_within` does beside looking."""
    with context:
        pass


def take_of(quota: Quota, tier: Tier) -> Callable[[], object]:
    """Return what takes one token, for so many callers in turn that all keep within their limits."""
    charges, lease = limits._charges(tier, Role.SERVICE, 1, ())  # noqa: SLF001
    turn = itertools.count()
    return lambda: quota.take(f"bench:{tier}:{next(turn) % CALLERS}", charges, lease=lease)


@contextmanager
def collector() -> Iterator[SimpleNamespace]:
    """Run a collector in another process; yields the settings that lead there."""
    serve = "import receiver\nwith receiver.running() as one: print(one.url, flush=True); one.hold.wait()"
    command, silent = [sys.executable, "-c", serve], subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=silent, text=True) as process:  # noqa: S603
        url = process.stdout.readline().strip()
        yield SimpleNamespace(traces_url=url, traces_ratio=0.5, traces_slow_seconds=1, instance="bench")
        process.terminate()


def recorded(told: SimpleNamespace, go: Callable[..., None]) -> float:
    """Return the CPU of one request of ten spans in microseconds, the thread that sends included."""
    began = time.process_time()
    tracing.start(told, service="bench")
    recorder = spans.recorder()
    for _ in range(RECORDED):
        go(LOW, recorder)
    tracing.stop()
    return (time.process_time() - began) / RECORDED * 1e6


def go_through(context: RequestContext, answer: Response, request_id: str, recorder: Recorder | None) -> None:
    """Ask for spans where a request does: for two transactions of three statements, for two commands, for a commit."""
    spans.record_by(recorder, ratio=0.5)
    with context:
        tracing.begin(request_id)
        for _ in range(2):
            if spans.current() is not None:
                for name in ("SELECT", "SELECT", "INSERT"):
                    spans.begin(name, kind="client", attributes=ATTRIBUTES).end()
            watched(SILENT).ping()
        with spans.within("commit"):
            pass
        tracing.finish(answer, 0.01)


def go_past(context: RequestContext) -> None:
    """Do what `go_through` does beside."""
    spans.record_by(None)
    with context:
        for _ in range(2):
            SILENT.ping()


def main() -> None:
    """Entry point: all in turn, several times, so that a busy machine slows all; the median of each is printed."""
    app = Flask("bench")
    order = app.test_request_context("/api/v1/orders", method="POST", json=BODY, headers={"User-Agent": AGENT})
    listing = app.test_request_context("/api/v1/orders?limit=50&status=placed", headers={"User-Agent": AGENT})
    # Nothing may be decided without Redis here, however busy the machine is.
    quota = Quota(Volatile(Redis(socket_timeout=30)), processes=4)
    # What is measured, and what of it is no guard's doing.
    guards: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "limits, counted in Redis (standard)": (take_of(quota, Tier.STANDARD), int),
        "limits, by leases (premium)": (take_of(quota, Tier.PREMIUM), int),
        "limits, by leases (enterprise)": (take_of(quota, Tier.ENTERPRISE), int),
        "signs of attacks, a list": (partial(look_within, listing), partial(enter, listing)),
        "signs of attacks, an order": (partial(look_within, order), partial(enter, order)),
    }
    with collector() as told:
        tracing.start(told, service="bench")
        recorder = spans.recorder()
        go, past = partial(go_through, listing, app.response_class("{}")), partial(go_past, listing)
        guards |= {
            "traces, without a collector": (partial(go, HIGH, None), past),
            "traces, not recorded": (partial(go, HIGH, recorder), past),
        }
        times: dict[str, list[float]] = {name: [] for name in guards}
        for _ in range(ROUNDS):
            for name, (act, without) in guards.items():
                times[name].append(micros(act) - micros(without))
        times["traces, recorded in ten spans"] = [recorded(told, go) - micros(past) for _ in range(ROUNDS)]
    if quota._uncounted:  # noqa: SLF001
        sys.exit("some requests were decided without Redis: measure again")
    print(f"{'guard':40} {'CPU':>8} a request, median of {ROUNDS} rounds of {REQUESTS}")
    for name, each in times.items():
        print(f"{name:40} {statistics.median(each):5.0f} µs   ({min(each):.0f} to {max(each):.0f})")


main()
