"""Logs as one JSON object a line on standard output, each tied to its request.

A line carries neither paths nor queries nor bodies, since those hold people's names, numbers and addresses; the rule
of the route says enough.
"""

import logging
import re
import secrets
import time
from typing import Any, Final

from flask import Flask, Response, g, has_request_context, request

from luckygas.config import Settings

HEADER: Final = "X-Request-ID"

_FORM: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")

logger = logging.getLogger(__name__)


class RequestContext(logging.Filter):
    """Adds to each record whose request it belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the request and its principal, as far as they are known by now."""
        if has_request_context():
            record.request_id = g.get("request_id")
            record.principal = g.principal.id if "principal" in g else None
        return True


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the `logging.config` dictionary of a process that serves: everything goes to standard output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": RequestContext}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": ["levelname", "name", "message"],
                "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "traceback"},
                "static_fields": {"instance": settings.instance},
                "timestamp": True,
                "json_ensure_ascii": False,
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["request"],
            }
        },
        "root": {"level": settings.log_level, "handlers": ["stdout"]},
        # gunicorn gives its loggers handlers of their own, unless they are told off by name.
        "loggers": {"gunicorn.error": {"level": settings.log_level, "handlers": [], "propagate": True}},
    }


def register(app: Flask) -> None:
    """Give each request of `app` an id and an access line."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    presented = request.headers.get(HEADER, "")
    # Only a well-formed id is taken over: it goes into our logs and back out in a header.
    g.request_id = presented if _FORM.fullmatch(presented) else secrets.token_hex(16)
    g.began = time.perf_counter()


def _finish(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    logger.info(
        "request",
        extra={
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else None,
            "status": response.status_code,
            "duration_ms": round((time.perf_counter() - g.began) * 1000, 1),
        },
    )
    return response
