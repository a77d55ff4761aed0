"""What records spans and sends them to a collector, by OTLP over HTTP.

Only a process that was told of a collector imports this. Sending is the business of a thread with a short queue: when
the collector is away, slow, or says what makes no sense, spans are lost, and nobody waits.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, override

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from luckygas import spans
from luckygas.config import Settings
from luckygas.instruments import SPANS_MADE, SPANS_SENT
from luckygas.version import RELEASE

SEND_SECONDS: Final = 2.0
"""How long one attempt to send may take, its repetitions included."""
CLOSE_SECONDS: Final = 3.0
"""How long a process that ends may wait for the collector to take the last spans."""
QUEUE_SPANS: Final = 2048
BATCH_SPANS: Final = 128
"""So few that requests do not feel how they are put into a message, some 50 µs each."""
BATCH_EVERY_SECONDS: Final = 2.0
ATTRIBUTE_LENGTH: Final = 1000

_SECONDS_BETWEEN_WARNINGS: Final = 60
_ROOT: Final = Context()
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)

logger = logging.getLogger(__name__)


class _Ids(RandomIdGenerator):
    """Gives a trace the id of its request."""

    def __init__(self) -> None:
        self.wanted: ContextVar[int] = ContextVar("wanted", default=0)

    @override
    def generate_trace_id(self) -> int:
        return self.wanted.get() or super().generate_trace_id()


class Recorder:
    """Makes spans for one process, and has them sent."""

    def __init__(self, settings: Settings, *, service: str) -> None:
        """Begin to send, as `service`, what is recorded from now on; never before a fork."""
        self.slow_seconds = settings.traces_slow_seconds
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not to be recorded never gets here
            resource=Resource(
                {
                    "service.name": service,
                    "service.instance.id": settings.instance,
                    "service.version": RELEASE,
                }
            ),
            shutdown_on_exit=False,
            id_generator=self._ids,
            span_limits=SpanLimits(max_span_attribute_length=ATTRIBUTE_LENGTH),
        )
        self._exporter = _Exporter(settings.traces_url)
        self._provider.add_span_processor(
            _Queue(
                self._exporter,
                max_queue_size=QUEUE_SPANS,
                schedule_delay_millis=BATCH_EVERY_SECONDS * 1000,
                max_export_batch_size=BATCH_SPANS,
            )
        )
        self._tracer = self._provider.get_tracer("luckygas")

    def root(self, name: str, trace: str, *, kind: str, attributes: spans.Attributes, ago: float = 0) -> Span:
        """Return a span without a parent, in this trace, that began so many seconds `ago`."""
        self._ids.wanted.set(int(trace, 16))
        began = time.time_ns() - int(ago * 1e9)
        return self._tracer.start_span(
            name, context=_ROOT, kind=SpanKind[kind.upper()], attributes=attributes, start_time=began
        )

    def child(self, name: str, parent: Span, kind: str, attributes: spans.Attributes | None) -> Span:
        """Return a span inside of `parent`."""
        return self._tracer.start_span(
            name, context=set_span_in_context(parent, _ROOT), kind=SpanKind[kind.upper()], attributes=attributes
        )

    def job(self, name: str, trace: str, parent: str | None, attributes: spans.Attributes) -> Span:
        """Return the span of a job, whose `parent` is one of another process, if there was any."""
        if parent is None:
            return self.root(name, trace, kind="consumer", attributes=attributes)
        there = SpanContext(int(trace, 16), int(parent, 16), is_remote=True, trace_flags=_SAMPLED)
        return self.child(name, NonRecordingSpan(there), "consumer", attributes)

    @contextmanager
    def kept_if_failed(self, name: str, trace: str, attributes: spans.Attributes) -> Iterator[None]:
        """Make a span of the block after the fact, and only if it fails."""
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            span = self.root(name, trace, kind="consumer", attributes=attributes, ago=time.monotonic() - began)
            spans.fail(span, error)
            span.end()
            raise

    def fail(self, span: Span, error: str) -> None:
        """Mark a span as failed."""
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left, if the collector takes it soon."""
        self._exporter.close_by = time.monotonic() + CLOSE_SECONDS
        # The library would wait for half a minute; a thread that is left behind ends with the process.
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _Queue(BatchSpanProcessor):
    """The library's, which drops the oldest when it is full; what is not sent in the end was lost."""

    @override
    def on_end(self, span: ReadableSpan) -> None:
        SPANS_MADE.inc()
        super().on_end(span)


class _Session(requests.Session):
    """Looks at no body: what there is to know stands in the status, and a body may be anything, and endless."""

    @override
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        with super().request(*args, **kwargs, stream=True) as response:
            return response


class _Exporter(SpanExporter):
    """The library's, which says no more than once a minute that it fails."""

    def __init__(self, url: str) -> None:
        # What it would say with each batch is said here.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._send = OTLPSpanExporter(
            endpoint=url, timeout=SEND_SECONDS, compression=Compression.Gzip, session=_Session()
        )
        self._warned_at = -float(_SECONDS_BETWEEN_WARNINGS)
        self.close_by: float | None = None

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.close_by is not None and time.monotonic() + SEND_SECONDS > self.close_by:
            result = SpanExportResult.FAILURE  # another attempt would end too late
        else:
            result = self._send.export(spans)
        if result is SpanExportResult.SUCCESS:
            SPANS_SENT.inc(len(spans))
        elif time.monotonic() - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = time.monotonic()
            logger.warning("the collector does not take our spans, which are lost")
        return result

    @override
    def shutdown(self) -> None:
        self._send.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._send.force_flush(timeout_millis)
