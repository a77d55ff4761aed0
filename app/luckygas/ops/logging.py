"""Logs as one JSON object a line on standard output, each tied to its request.

That there was a request stands in nginx' log alone, to which an answer says what nginx cannot know. Here is a line
for those that failed or were slow. It carries neither paths nor queries nor bodies, since those hold people's names,
numbers and addresses; the rule of the route says enough.
"""

import logging
import re
import secrets
import time
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, g, has_request_context, request

from luckygas import spans
from luckygas.config import Settings
from luckygas.ops import tracing

HEADER: Final = "X-Request-ID"
FOR_NGINX: Final = ("X-Log-Principal", "X-Log-Route")
"""What nginx takes out of an answer and writes into its log."""
SLOW_SECONDS: Final = 1.0

# As nginx makes them, and as a trace has them.
_FORM: Final = re.compile(r"[0-9a-f]{32}")

logger = logging.getLogger(__name__)


class RequestContext(logging.Filter):
    """Adds to each record whose request it belongs to, or, for that of a job, the request that caused it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the request and its principal, as far as they are known by now."""
        if has_request_context():
            record.request_id = g.get("request_id")
            record.principal = g.principal.id if "principal" in g else None
        elif (trace := spans.current_trace()) is not None:
            record.trace_id = trace
        return True


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the `logging.config` dictionary of a process that serves: everything goes to standard output."""
    # No line says which thread, process or line of code it comes from, so nobody needs to look for those.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
    logging._srcfile = None  # noqa: SLF001 - as Python's own guide has it
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
        "loggers": {
            "gunicorn.error": {"level": settings.log_level, "handlers": [], "propagate": True},
            # Libraries that tell how they are imported.
            "alembic.runtime.plugins": {"level": "WARNING"},
            "procrastinate.blueprints": {"level": "WARNING"},
        },
    }


def register(app: Flask) -> None:
    """Give each request of `app` an id, and have it logged."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    presented = request.headers.get(HEADER, "")
    # Only a well-formed id is taken over: it goes into our logs and back out in a header.
    g.request_id = presented if _FORM.fullmatch(presented) else secrets.token_hex(16)
    g.began = time.perf_counter()
    tracing.begin(g.request_id)


def _finish(response: Response) -> Response:
    seconds, rule = time.perf_counter() - g.began, request.url_rule
    route = rule.rule if rule else ""
    # Nobody else sets these, so there is none to look for and replace.
    response.headers.add(HEADER, g.request_id)
    for name, value in zip(FOR_NGINX, (g.principal.id if "principal" in g else "", route), strict=True):
        response.headers.add(name, value)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or seconds >= SLOW_SECONDS:
        logger.warning(
            "request",
            extra={
                "method": request.method,
                "route": route or None,
                "status": response.status_code,
                "duration_ms": round(seconds * 1000, 1),
            },
        )
    tracing.finish(response, seconds)
    return response
