"""A collector as the protocol has it (OTLP over HTTP), also when it does not behave; keeps what it is sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Flask, Response, request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from serving import served

PATH = "/v1/traces"


@dataclass(frozen=True)
class Received:
    """A span; ids in hexadecimal digits, `parent` is "" for the first of a trace."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began: int
    seconds: float
    has_failed: bool
    service: str
    attributes: dict[str, Any]


def values(pairs: Iterator[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def read(body: bytes) -> Iterator[Received]:
    """Yield what a request brings."""
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = values(group.resource.attributes)["service.name"]
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Received(
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    has_failed=span.status.code == Status.STATUS_CODE_ERROR,
                    service=service,
                    attributes=values(span.attributes),
                )


@dataclass
class Receiver:
    """`mode` says how it behaves: ok, hang, rubbish, endless, or a status."""

    mode: str = "ok"
    url: str = ""
    spans: list[Received] = field(default_factory=list)
    requests: int = 0
    hold: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> Received:
        """Return the only span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def children(self, parent: Received) -> list[Received]:
        """Return the spans right below this one, in order."""
        return sorted((span for span in self.spans if span.parent == parent.id), key=lambda span: span.began)

    def app(self) -> Flask:
        app = Flask("collector")

        @app.post(PATH)
        def take() -> Response:
            self.requests += 1
            body = request.get_data()
            if request.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            match self.mode:
                case "hang":
                    self.hold.wait(30)
                case "rubbish":
                    return Response(b"\xff\x00<html>", 200, mimetype="text/html")
                case "endless":
                    return Response(self._endless(), 200, mimetype="application/x-protobuf")
                case "ok":
                    self.spans.extend(read(body))
                case status:
                    return Response("no", int(status), {"Retry-After": "60"})
            return Response(ExportTraceServiceResponse().SerializeToString(), mimetype="application/x-protobuf")

        @app.get("/spans")
        def show() -> list[dict[str, Any]]:
            return [asdict(span) for span in self.spans]

        return app

    def _endless(self) -> Iterator[bytes]:
        while not self.hold.wait(0.01):
            yield b"x" * 65536


@contextmanager
def running() -> Iterator[Receiver]:
    """Serve it on a free port of the loopback."""
    receiver = Receiver()
    with served(receiver.app(), receiver.hold) as url:
        receiver.url = f"{url}{PATH}"
        yield receiver
