"""Spans: what a request or a job did and for how long, as far as its trace is recorded.

The id of a trace is that of the request which began it, which nginx gave it: it stands in nginx' log, in ours, in the
answer and in each problem, and goes along with the jobs that the request causes. A trace is recorded as a whole or not
at all, and the id itself decides that, so nobody has to be asked, and no stranger can ask for it.

Where a trace is not recorded, and that is nearly everywhere, a span is a look at a context variable. What makes
and sends spans takes its time to be loaded, so it only is where there is a collector (`ops.collector`).
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from luckygas.ops.collector import Recorder

type Attributes = Mapping[str, str | int | float]

TRACEPARENT: Final = "traceparent"
"""The argument in which a job carries what caused it, in the form of W3C's header."""

_FORM: Final = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-0(?P<is_recorded>[01])")
_NOTHING: Final = nullcontext()

_trace: ContextVar[str | None] = ContextVar("trace", default=None)
_span: ContextVar["Span | None"] = ContextVar("span", default=None)


class _Process:
    """What records for this process: nothing, before `ops.collector` says otherwise."""

    recorder: "Recorder | None" = None
    below = ""


def record_by(recorder: "Recorder | None", *, ratio: float = 0) -> None:
    """Have `recorder` record this share of all traces from now on; without one, nothing is."""
    _Process.recorder = recorder
    # With which the last 64 bits of an id are compared, as text: every digit comes before "g".
    _Process.below = "" if recorder is None else "g" if ratio >= 1 else f"{int(ratio * 2**64):016x}"


def recorder() -> "Recorder | None":
    """Return what records for this process, if anything does."""
    return _Process.recorder


def enter(trace: str | None) -> bool:
    """Say to which trace belongs what happens from now on; return whether that is one to be recorded."""
    _trace.set(trace)
    _span.set(None)
    return trace is not None and trace[16:] < _Process.below


def current_trace() -> str | None:
    """Return the id of the trace to which belongs what happens now, recorded or not."""
    return _trace.get()


def current() -> "Span | None":
    """Return the innermost span, if the trace is recorded."""
    return _span.get()


def begin_with(span: "Span") -> None:
    """Let what happens from now on belong to `span`, the first of its trace."""
    _span.set(span)


def leave() -> None:
    """Let what happens from now on belong to no trace; the span that it began with ends."""
    if (span := _span.get()) is not None:
        span.end()
        _span.set(None)
    _trace.set(None)


def begin(name: str, *, kind: str = "internal", attributes: Attributes | None = None) -> "Span | None":
    """Return a new span inside of the innermost one, to be ended by the caller; None where nothing is recorded."""
    parent, recorder = _span.get(), _Process.recorder
    return None if parent is None or recorder is None else recorder.child(name, parent, kind, attributes)


def within(name: str, *, kind: str = "internal", attributes: Attributes | None = None) -> AbstractContextManager[Any]:
    """Make what the block does a span, which it is handed, or None where nothing is recorded.

    `kind` is one of OpenTelemetry's, in small letters. No attribute may hold what somebody entered.
    """
    if _span.get() is None or (span := begin(name, kind=kind, attributes=attributes)) is None:
        return _NOTHING
    return inside(span)


@contextmanager
def inside(span: "Span") -> Iterator["Span"]:
    """Let what the block does belong to `span`, which ends with it."""
    token = _span.set(span)
    try:
        yield span
    except BaseException as error:
        fail(span, error)
        raise
    finally:
        _span.reset(token)
        span.end()


def fail(span: "Span", error: BaseException | str) -> None:
    """Mark a span as failed, by the kind of the error alone: its text may quote what somebody entered."""
    if (recorder := _Process.recorder) is not None:
        recorder.fail(span, error if isinstance(error, str) else type(error).__qualname__)


def carried() -> dict[str, str]:
    """Return the argument that a job takes along from here; none outside of any trace."""
    if (trace := _trace.get()) is None:
        return {}
    span = _span.get()
    parent = secrets.token_hex(8) if span is None else f"{span.get_span_context().span_id:016x}"
    return {TRACEPARENT: f"00-{trace}-{parent}-0{int(span is not None)}"}


@contextmanager
def job(name: str, came: str | None, attributes: Attributes) -> Iterator[None]:
    """Let what the block does be the job `name`, in the trace that `came` along, or in one of its own.

    If it fails there is a span of it in any case.
    """
    found = _FORM.fullmatch(came or "")
    trace = found["trace"] if found else secrets.token_hex(16)
    is_chosen = enter(trace)
    recorder = _Process.recorder
    try:
        if recorder is None:
            yield
        elif found["is_recorded"] == "1" if found else is_chosen:
            with inside(recorder.job(name, trace, found["span"] if found else None, attributes)):
                yield
        else:
            with recorder.kept_if_failed(name, trace, attributes):
                yield
    finally:
        enter(None)
