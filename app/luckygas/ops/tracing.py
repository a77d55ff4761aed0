"""A request as the first span of its trace: recorded from its beginning, or noted at its end if it went wrong.

Nearly all requests are neither, and pay for nothing but that this is seen.
"""

from typing import TYPE_CHECKING, Final, cast

from flask import Response, g, request

from luckygas import spans
from luckygas.config import Settings
from luckygas.ops.metrics import METHODS

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from luckygas.ops.collector import Recorder

SERVER_ERROR: Final = 500


def start(settings: Settings, *, service: str) -> None:
    """Have this process record its traces, as `service`, if there is a collector; it must not fork any more."""
    if settings.traces_url:
        from luckygas.ops.collector import Recorder  # noqa: PLC0415 - it takes 0.3 s

        spans.record_by(Recorder(settings, service=service), ratio=settings.traces_ratio)


def stop() -> None:
    """Record nothing any more, and send what is left."""
    if (recorder := spans.recorder()) is not None:
        spans.record_by(None)
        recorder.close()


def begin(request_id: str) -> None:
    """Record this request from now on, if its trace is to be recorded."""
    if spans.enter(request_id):
        recorder = cast("Recorder", spans.recorder())
        spans.begin_with(recorder.root(_name(), request_id, kind="server", attributes=_attributes()))


def finish(response: Response, seconds: float) -> None:
    """End what was begun; note, if nothing was, a request that failed or took long."""
    if (span := spans.current()) is not None:
        _describe(span, response)
    elif (recorder := spans.recorder()) is not None and (
        seconds >= recorder.slow_seconds or response.status_code >= SERVER_ERROR
    ):
        kept = recorder.root(_name(), g.request_id, kind="server", attributes=_attributes(), ago=seconds)
        _describe(kept, response)
        kept.end()
    if response.is_streamed:  # what it still reads belongs to it
        response.call_on_close(spans.leave)
    else:
        spans.leave()


def _name() -> str:
    method, rule = _method(), request.url_rule
    return f"{method} {rule.rule}" if rule else method


def _method() -> str:
    return request.method if request.method in METHODS else "_OTHER"


def _attributes() -> dict[str, str]:
    known = {"http.request.method": _method(), "url.scheme": request.scheme}
    return known | ({"http.route": request.url_rule.rule} if request.url_rule else {})


def _describe(span: "Span", response: Response) -> None:
    span.set_attribute("http.response.status_code", response.status_code)
    if response.status_code >= SERVER_ERROR:
        problem = g.get("problem")
        cause = problem.__cause__ if problem else None
        spans.fail(span, cause or (problem.code if problem else str(response.status_code)))
