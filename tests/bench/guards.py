"""Measure what each guard adds to a request; `tests/bench/guards` starts the Redis that it needs and runs this."""

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from flask import Flask
from flask.ctx import RequestContext
from redis import Redis

from luckygas.access import Role, Tier
from luckygas.volatile import Volatile
from luckygas.web import guard, headers, limits
from luckygas.web.quota import Quota

ROUNDS, REQUESTS, CALLERS = 7, 2000, 400
BODY: Final = {
    "customer_id": 1,
    "lines": [{"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 850}],
    "note": "請先打電話, 後門進 (門口有狗)",
    "delivery_address": "臺北市大同區民生西路 100 號 3 樓",
}
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"


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


def add_headers(app: Flask) -> None:
    """Make an answer, with the headers."""
    response = app.response_class("{}", mimetype="application/json")
    for name, value in headers.COMMON.items():
        response.headers.setdefault(name, value)
    response.headers["Content-Security-Policy"] = headers.DATA_POLICY


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
        "security headers": (partial(add_headers, app), partial(app.response_class, "{}", mimetype="application/json")),
    }
    times: dict[str, list[float]] = {name: [] for name in guards}
    for _ in range(ROUNDS):
        for name, (act, without) in guards.items():
            times[name].append(micros(act) - micros(without))
    if quota._uncounted:  # noqa: SLF001
        sys.exit("some requests were decided without Redis: measure again")
    print(f"{'guard':40} {'CPU':>8} a request, median of {ROUNDS} rounds of {REQUESTS}")
    for name, each in times.items():
        print(f"{name:40} {statistics.median(each):5.0f} µs   ({min(each):.0f} to {max(each):.0f})")


main()
