"""Traces as a collector receives them, and requests as if there were none when it does not."""

import dataclasses
import json
import logging
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

import partners as stub
import receiver as collector
from factories import customer_body, make_customer, make_cylinder, make_driver, make_order, new_client, order_body
from gunicorn_server import environment_in, serving
from luckygas import spans, worker
from luckygas.clients import BREAKERS
from luckygas.config import Settings, WorkerSettings
from luckygas.cylinders import service as cylinders
from luckygas.jobs import queue
from luckygas.ops import tracing
from luckygas.resources import Resources
from receiver import Receiver
from waiting import eventually

LOW, HIGH = "0" * 31 + "1", "0" * 16 + "f" * 16


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with collector.running() as running:
        yield running


@pytest.fixture
def record(settings: Settings, receiver: Receiver) -> Iterator[Callable[..., None]]:
    """Have this process record; `tracing.stop` sends all that there is."""

    def go(**changes: object) -> None:
        known = {"traces_url": receiver.url, "traces_ratio": 1.0, "traces_slow_seconds": 3600.0} | changes
        tracing.start(dataclasses.replace(settings, **known), service="luckygas-web")

    yield go
    tracing.stop()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luckygas.orders.service.get", lambda *_, **__: (1,).index(2))


@pytest.fixture
def committing_client(committing_app: Flask) -> FlaskClient:
    """Return a client whose requests begin and commit transactions of their own; it may do everything."""
    return new_client(committing_app)


@pytest.fixture
def committed(committing_app: Flask) -> Callable[[], Session]:
    return Resources.of(committing_app).sessions.begin


def plain(client: FlaskClient) -> FlaskClient:
    """Return a client with the same key for answers that no document promises."""
    other = FlaskClient(client.application)
    other.environ_base["HTTP_AUTHORIZATION"] = client.environ_base["HTTP_AUTHORIZATION"]
    return other


def test_a_request_is_a_trace_of_its_own_id_with_all_that_it_asked(
    committing_client: FlaskClient, committed, record, receiver: Receiver
) -> None:
    with committed() as session:
        body = order_body(make_customer(session).id)
    record()
    request_id = secrets.token_hex(16)
    answer = committing_client.post("/api/v1/orders", json=body, headers={"X-Request-ID": request_id})
    tracing.stop()
    assert answer.status_code == 201
    assert answer.headers["X-Request-ID"] == request_id
    assert {span.trace for span in receiver.spans} == {request_id}
    root = receiver.named("POST /api/v1/orders")
    assert (root.kind, root.parent, root.service, root.has_failed) == ("server", "", "luckygas-web", False)
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/orders",
        "http.response.status_code": 201,
        "url.scheme": "http",
    }
    below = receiver.children(root)
    assert {"evalsha", "SELECT", "commit"} <= {span.name for span in below}
    (inserted,) = [span for span in receiver.spans if "INSERT INTO orders" in span.attributes.get("db.query.text", "")]
    assert inserted.kind == "client"
    assert all(root.began <= span.began and span.seconds <= root.seconds for span in below)


def test_whether_a_trace_is_recorded_is_decided_by_its_id_alone(app: Flask, record, receiver: Receiver) -> None:
    record(traces_ratio=0.5)
    asked = {"traceparent": f"00-{HIGH}-00f067aa0ba902b7-01"}
    for request_id in (LOW, HIGH):
        app.test_client().get("/healthz", headers={"X-Request-ID": request_id} | asked)
    tracing.stop()
    assert [(span.name, span.trace) for span in receiver.spans] == [("GET /healthz", LOW)]


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0), (0.25, 0.25), (1.0, 1)])
def test_as_many_traces_are_recorded_as_was_said(
    app: Flask, record, receiver: Receiver, ratio: float, share: float
) -> None:
    record(traces_ratio=ratio)
    with app.test_request_context("/healthz"):
        chosen = sum(spans.enter(secrets.token_hex(16)) for _ in range(4000)) / 4000
        spans.enter(None)
    assert abs(chosen - share) < 0.05


@pytest.mark.usefixtures("broken")
def test_a_request_that_fails_is_kept_with_the_kind_of_its_failure(
    client: FlaskClient, record, receiver: Receiver
) -> None:
    record(traces_ratio=0.0)
    answer = plain(client).get("/api/v1/orders/1")
    client.get("/api/v1/customers/1")  # there is none: no failure of ours
    tracing.stop()
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    (kept,) = receiver.spans
    assert (kept.trace, kept.has_failed) == (answer.json["request_id"], True)
    assert kept.name == "GET /api/v1/orders/<id:order_id>"
    assert kept.attributes["error.type"] == "ValueError"
    assert kept.attributes["http.response.status_code"] == 500


@pytest.mark.usefixtures("broken")
def test_a_recorded_request_that_fails_is_there_once(client: FlaskClient, record, receiver: Receiver) -> None:
    record()
    plain(client).get("/api/v1/orders/1")
    tracing.stop()
    root = receiver.named("GET /api/v1/orders/<id:order_id>")
    assert (root.has_failed, root.attributes["error.type"]) == (True, "ValueError")
    assert receiver.children(root)


def test_a_request_that_takes_long_is_kept_with_its_time(app: Flask, record, receiver: Receiver) -> None:
    record(traces_ratio=0.0, traces_slow_seconds=0.0)
    began = time.time_ns()
    app.test_client().get("/api/v1/health")
    ended = time.time_ns()
    tracing.stop()
    kept = receiver.named("GET /api/v1/health")
    assert not kept.has_failed
    assert began - 1e6 <= kept.began <= kept.began + kept.seconds * 1e9 <= ended + 1e6


def test_a_file_that_is_read_while_it_is_sent_is_recorded_to_its_end(
    committing_client: FlaskClient, committed, record, receiver: Receiver
) -> None:
    with committed() as session:
        make_order(session)
    record()
    with committing_client.get("/api/v1/orders/export") as answer:
        assert answer.text.count("\n") == 2
    tracing.stop()
    root = receiver.named("GET /api/v1/orders/export")
    assert any("FROM orders" in span.attributes.get("db.query.text", "") for span in receiver.children(root))


def test_nothing_of_a_person_and_no_secret_gets_into_a_span(
    committing_client: FlaskClient, record, receiver: Receiver
) -> None:
    client = committing_client
    record()
    body = customer_body(name="陳美麗", mobile="0912345678", tax_number="04595257")
    created = client.post("/api/v1/customers", json=body).json
    client.get("/api/v1/customers?phone_ends=345678")
    plain(client).get(f"/api/v1/customers/{created['id']}/0912345678?q=0912345678")
    client.post("/api/v1/session", json={"login": "anna-chen", "password": "three small green cups"})
    client.put("/api/v1/price-list", json=[])
    tracing.stop()
    # Without ids and times, which may have any six digits in a row.
    sent = json.dumps([[span.name, span.attributes] for span in receiver.spans], ensure_ascii=False)
    key = client.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    assert len(receiver.spans) > 20
    for value in (
        "陳美麗",
        "0912345678",
        "345678",
        "04595257",
        body["address"],
        "anna-chen",
        "green cups",
        key,
        key[-20:],
    ):
        assert value not in sent, value


def test_a_statement_that_fails_says_no_more_than_how(app: Flask, record, receiver: Receiver) -> None:
    record()
    spans.enter(LOW)
    recorder = spans.recorder()
    with (
        spans.inside(recorder.root("outermost", LOW, kind="internal", attributes={})),
        Resources.of(app).engine.connect() as connection,
        pytest.raises(Exception, match="0912345678"),
    ):
        connection.execute(text("SELECT CAST(:value AS date)"), {"value": "0912345678"})
    tracing.stop()
    failed = next(span for span in receiver.spans if "AS date" in span.attributes.get("db.query.text", ""))
    assert (failed.has_failed, failed.attributes["error.type"]) == (True, "DatetimeFieldOverflow")
    assert "0912345678" not in str(receiver.spans)


# --- jobs -------------------------------------------------------------------------------------------------------


@queue.job("tests.traced")
def traced(session: Session, _held: Resources, *, fails: bool) -> None:
    """Ask something, say something, and fail if wanted."""
    session.execute(text("SELECT 42"))
    logging.getLogger("luckygas.tests").info("working")
    if fails:
        raise ValueError("0912345678")


@pytest.fixture
def work(
    committing_app: Flask, environ: dict[str, str], settings: Settings, receiver: Receiver, monkeypatch
) -> Callable[..., None]:
    """Let a worker do what there is, which records as it is told."""
    monkeypatch.setattr(queue, "SCHEDULE", {})

    def go(**changes: object) -> None:
        known = {"traces_url": receiver.url, "traces_ratio": 0.0} | changes
        worker.run(dataclasses.replace(settings, **known), WorkerSettings.from_environ(environ), wait=False)

    return go


def enqueue(app: Flask, *, request_id: str, fails: bool = False) -> int:
    """Enqueue the job of these tests as a request does."""
    with (
        app.test_request_context("/healthz", headers={"X-Request-ID": request_id}),
        Resources.of(app).sessions.begin() as session,
    ):
        app.preprocess_request()
        number = queue.enqueue(session, "tests.traced", fails=fails)
        app.process_response(app.response_class("{}"))
        return number


def test_an_order_is_one_trace_from_its_request_to_the_e_invoice(
    committing_client: FlaskClient, committed, record, receiver: Receiver, work
) -> None:
    client, resources = committing_client, Resources.of(committing_client.application)
    with committed() as session:
        driver, order, today = make_driver(session), make_order(session), resources.today()
        serials = [make_cylinder(session).serial for _ in range(2)]
        cylinders.load(session, driver_id=driver.id, serials=serials, by="tests", today=today)
    body = {"driver_id": driver.id, "day": str(today), "order_ids": [order.id]}
    route = client.post("/api/v1/routes", json=body).json
    client.post(f"/api/v1/routes/{route['id']}/start")
    record()
    body = {"delivered": serials, "received_by": "王太太", "cash_twd": 1700}
    answer = client.post(f"/api/v1/routes/{route['id']}/stops/{order.id}/deliver", json=body)
    assert answer.status_code == 200
    tracing.stop()
    resources.redis.delete(*(f"lg:breaker:{name}" for name in BREAKERS))
    with stub.running() as partners:
        work(partners=partners.configuration)  # at a ratio of 0: its cause decided

    request_id = answer.headers["X-Request-ID"]
    ours = [span for span in receiver.spans if span.trace == request_id]
    root = receiver.named("POST /api/v1/routes/<id:route_id>/stops/<id:order_id>/deliver")
    enqueued = receiver.named("enqueue billing.invoice")
    job = receiver.named("job billing.invoice")
    call = receiver.named("POST einvoice")
    assert (root.trace, root.parent) == (request_id, "")
    assert enqueued in receiver.children(root)
    assert (job.parent, job.kind, job.service) == (enqueued.id, "consumer", "luckygas-worker")
    assert call in receiver.children(job)
    assert call.attributes == {
        "http.request.method": "POST",
        "peer.service": "einvoice",
        "server.address": "127.0.0.1",
        "url.template": "/invoices",
        "http.response.status_code": 200,
    }
    assert "commit" in [span.name for span in receiver.children(job)]
    assert partners.invoices.keys() == {f"order{order.id}"}
    assert {span.parent for span in ours} <= {span.id for span in ours} | {""}


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_job_that_fails_is_kept_in_the_trace_of_its_cause(
    committing_app: Flask, record, receiver: Receiver, work: Callable[..., None], *, is_recorded: bool
) -> None:
    record(traces_ratio=0.5)
    number = enqueue(committing_app, request_id=LOW if is_recorded else HIGH, fails=True)
    tracing.stop()
    work()
    job = receiver.named("job tests.traced")
    assert job.trace == (LOW if is_recorded else HIGH)
    assert (job.has_failed, job.attributes["error.type"]) == (True, "ValueError")
    assert (job.attributes["messaging.message.id"], job.attributes["luckygas.job.attempt"]) == (str(number), 1)
    assert bool(job.parent) == bool(receiver.children(job)) == is_recorded
    assert "0912345678" not in str(receiver.spans)


def test_a_job_that_is_not_recorded_and_well_leaves_no_span(
    committing_app: Flask, record, receiver: Receiver, work: Callable[..., None]
) -> None:
    enqueue(committing_app, request_id=LOW)
    work(traces_ratio=1.0)
    assert receiver.spans == []


def test_the_lines_of_a_job_name_the_request_that_caused_it(
    committing_app: Flask, work: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    from luckygas.ops.logging import RequestContext  # noqa: PLC0415

    enqueue(committing_app, request_id=HIGH)
    caplog.handler.addFilter(RequestContext())
    with caplog.at_level(logging.INFO):
        work(traces_url="")
    (line,) = [record for record in caplog.records if record.getMessage() == "working"]
    assert line.trace_id == HIGH


# --- a collector that does not take what it is sent -------------------------------------------------------------


@pytest.fixture(params=["closed", "silent", "hang", "rubbish", "endless", "404", "500", "503"])
def absent(request: pytest.FixtureRequest, receiver: Receiver) -> str:
    """Return the URL of a collector that is of no use."""
    if request.param in {"closed", "silent"}:
        return f"http://127.0.0.1:{request.getfixturevalue(f'{request.param}_port')}/v1/traces"
    receiver.mode = request.param
    return receiver.url


def test_requests_do_not_notice_a_collector_that_is_of_no_use(client: FlaskClient, record, absent: str) -> None:
    record(traces_url=absent)
    took = []
    for _ in range(40):  # so many spans that they are sent meanwhile
        began = time.perf_counter()
        assert client.get("/api/v1/customers").status_code == 200
        took.append(time.perf_counter() - began)
    began = time.monotonic()
    tracing.stop()
    # Whoever waited for an attempt to send would have waited for two seconds.
    assert statistics.median(took) < 1
    assert time.monotonic() - began < 10


def test_what_waits_for_a_collector_is_bounded_and_what_is_newest_is_kept(record, receiver: Receiver) -> None:
    from luckygas.ops.collector import BATCH_SPANS, QUEUE_SPANS  # noqa: PLC0415

    receiver.mode = "hang"
    record()
    many = QUEUE_SPANS + 1000
    for number in range(many):
        spans.recorder().root(f"{number}", LOW, kind="internal", attributes={}).end()
    receiver.mode = "ok"
    eventually(lambda: any(span.name == f"{many - 1}" for span in receiver.spans), "the last span")
    names = {int(span.name) for span in receiver.spans}
    assert QUEUE_SPANS / 2 < len(names) <= QUEUE_SPANS + 2 * BATCH_SPANS


@pytest.mark.parametrize("is_there", [True, False])
def test_the_service_as_its_unit_runs_it_sends_or_says_once_that_it_cannot(
    environ: dict[str, str], receiver: Receiver, closed_port: int, tmp_path: Path, *, is_there: bool
) -> None:
    url = receiver.url if is_there else f"http://127.0.0.1:{closed_port}/v1/traces"
    told = {"LUCKYGAS_TRACES_URL": url, "LUCKYGAS_TRACES_RATIO": "1"}
    with serving(environment_in(tmp_path, environ) | told) as server:
        ids = {server.get("/api/v1/health").headers["X-Request-ID"] for _ in range(4)}
        output = server.stop()
    # On a busy machine some requests are slow, and told of.
    lines = [line for line in map(json.loads, output.splitlines()) if line["message"] != "request"]
    warnings = [line["message"] for line in lines if line["level"] not in {"INFO", "DEBUG"}]
    assert server.process.returncode == 0
    assert {span.trace for span in receiver.spans} == (ids if is_there else set())
    if is_there:
        assert warnings == []
    else:
        assert set(warnings) == {"the collector does not take our spans, which are lost"}
        assert len(warnings) <= 2  # one of each worker


def test_without_a_collector_nothing_that_sends_is_loaded(environ: dict[str, str]) -> None:
    asked = (
        "import sys, luckygas.gunicorn, luckygas.wsgi, luckygas.worker; print('luckygas.ops.collector' in sys.modules)"
    )
    known = environ | {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", asked], env=known, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "False\n"
