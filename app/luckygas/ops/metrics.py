"""Every request is counted under the rule of its route, never under its path, which holds ids without end."""

import time
from typing import Final

from flask import Flask, Response, g, request

from luckygas.instruments import REQUEST_SECONDS, REQUESTS

UNMATCHED: Final = "unmatched"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def register(app: Flask) -> None:
    """Count each request of `app`; `ops.logging` notes when it began."""
    app.after_request(_count)


def _count(response: Response) -> Response:
    method = request.method if request.method in METHODS else "other"
    route = request.url_rule.rule if request.url_rule else UNMATCHED
    REQUESTS.labels(method, route, str(response.status_code)).inc()
    REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - g.began)
    return response
