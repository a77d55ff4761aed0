"""The service with a profiler around every request that counts the processor's time; a GET of /bench reports it."""

import cProfile
import json
import pstats
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from luckygas.wsgi import app

STEPS = ("preprocess_request", "guarded_view", "process_response", "_admit")
profile = cProfile.Profile(time.thread_time)
serve = app.wsgi_app


def parts() -> Iterator[tuple[str, float]]:
    """Yield what the steps of a request call, each with the time that it took, itself and all below it."""
    for (file, _, name), (*_, callers) in pstats.Stats(profile).stats.items():
        seconds = sum(times[3] for (_, _, caller), times in callers.items() if caller in STEPS)
        if seconds and name not in STEPS:
            yield f"{file.rsplit('site-packages/', 1)[-1]} {name}", seconds


def total() -> float:
    """Return the time of all requests."""
    return sum(row[2] for row in pstats.Stats(profile).stats.values())


def profiled(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request, or report."""
    if environ["PATH_INFO"] == "/bench":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"total": total(), "parts": dict(parts())}).encode()]
    profile.enable()
    try:
        return serve(environ, start_response)
    finally:
        profile.disable()


app.wsgi_app = profiled
