"""The queue as the service uses it: real commits, and a real worker until it has nothing left to do."""

import ast
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from sqlalchemy import text
from sqlalchemy.orm import Session

from factories import make_customer, new_client
from luckygas import worker
from luckygas.config import Settings, WorkerSettings
from luckygas.errors import Hopeless
from luckygas.jobs import queue, service
from luckygas.jobs.backoff import MOST_ATTEMPTS, wait_seconds
from luckygas.resources import Resources
from waiting import eventually

PACKAGE = Path(__file__).parents[3] / "app" / "luckygas"


class Control:
    """What the job of these tests does next, and what it did."""

    def __init__(self) -> None:
        self.act: Callable[[], None] = lambda: None
        self.ran: list[int] = []


CONTROL = Control()


@queue.job("tests.note")
def note(session: Session, _held: Resources, *, number: int) -> None:
    """Leave a customer behind, so that there is an effect to be counted."""
    make_customer(session, name=f"job {number}")
    CONTROL.ran.append(number)
    CONTROL.act()


@queue.job("tests.tick")
def tick(session: Session, _held: Resources) -> None:
    """Leave a customer behind, and have the worker stop once this is done, as systemd does."""
    make_customer(session, name="tick")
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def schedule(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let no scheduled job of the service begin because of the time of day."""
    monkeypatch.setattr(queue, "SCHEDULE", {})
    return queue.SCHEDULE


@pytest.fixture
def control() -> Iterator[Control]:
    CONTROL.__init__()
    yield CONTROL
    CONTROL.__init__()


@pytest.fixture
def work(committing_app: Flask, environ: dict[str, str], settings: Settings) -> Callable[..., None]:
    return lambda *, wait=False: worker.run(settings, WorkerSettings.from_environ(environ), wait=wait)


@pytest.fixture
def committed(committing_app: Flask) -> Callable[[], Session]:
    return Resources.of(committing_app).sessions.begin


def enqueue(committed: Callable, *numbers: int) -> list[int]:
    with committed() as session:
        return [queue.enqueue(session, "tests.note", number=number) for number in numbers]


def effects(committed: Callable) -> list[str]:
    with committed() as session:
        return list(session.scalars(text("SELECT name FROM customers ORDER BY name")))


def causes(committed: Callable) -> list[tuple[str, str]]:
    with committed() as session:
        return [tuple(row) for row in session.execute(text("SELECT actor, origin FROM audit_entries ORDER BY id"))]


def statuses(committed: Callable) -> list[str]:
    with committed() as session:
        return list(session.scalars(text("SELECT status::text FROM procrastinate_jobs ORDER BY id")))


def again_at_once(committed: Callable) -> None:
    with committed() as session:
        session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL"))


def test_what_a_job_changes_is_logged_as_its_doing(work: Callable[[], None], committed: Callable) -> None:
    (number,) = enqueue(committed, 1)
    work()
    assert causes(committed) == [("job:tests.note", f"job {number}")]


def test_a_job_runs_after_its_cause_has_committed(control, committed, work) -> None:
    enqueue(committed, 1, 2)
    work()
    assert effects(committed) == ["job 1", "job 2"]
    assert statuses(committed) == []


def test_what_is_rolled_back_leaves_no_job(control, committed, work) -> None:
    with committed() as session:
        queue.enqueue(session, "tests.note", number=1)
        session.rollback()
    work()
    assert control.ran == []


def test_a_failure_leaves_no_effect_is_noted_and_tried_again(control, committed, work) -> None:
    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    control.act = fail
    enqueue(committed, 1)
    work()
    assert effects(committed) == []
    with committed() as session:
        (row,) = service.find(session, status="todo", before_id=2**63 - 1, count=9)
        assert (row.attempts, row.last_failure) == (1, "ZeroDivisionError: on purpose")
        assert row.scheduled_at is not None
    control.act = lambda: None
    again_at_once(committed)
    work()
    assert effects(committed) == ["job 1"]
    assert control.ran == [1, 1]


def test_a_job_that_lost_its_worker_after_its_effect_is_not_repeated(control, committed, work) -> None:
    (number,) = enqueue(committed, 1)
    with committed() as session:  # as a worker leaves it that dies between its commit and its report
        session.execute(text("INSERT INTO finished_jobs (job_id) VALUES (:id)"), {"id": number})
        session.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        session.execute(text("UPDATE procrastinate_jobs SET status = 'todo'"))
    work()
    assert control.ran == []
    assert statuses(committed) == []


def test_two_workers_with_the_same_job_have_one_effect(control, committed, work) -> None:
    """The second gets the job while the first, thought dead, is still at it."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(60)

    control.act = hold
    enqueue(committed, 1)
    first = threading.Thread(target=work)
    first.start()
    assert inside.wait(60)
    with committed() as session:
        session.execute(text("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL"))
    second = threading.Thread(target=work)
    second.start()
    eventually(lambda: statuses(committed) == ["doing"], "the second worker's turn")
    go_on.set()
    for thread in (first, second):
        thread.join(60)
        assert not thread.is_alive()
    assert control.ran == [1]
    assert effects(committed) == ["job 1"]


def test_a_job_whose_worker_is_gone_is_taken_over(control, committed, work, monkeypatch) -> None:
    enqueue(committed, 1)
    with committed() as session:
        session.execute(text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')"))
        session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = workers.id"
                " FROM procrastinate_workers AS workers"
            )
        )
    monkeypatch.setattr("luckygas.worker.HEARTBEAT_SECONDS", 0.1)
    enqueue(committed, 2)
    control.act = lambda: threading.Event().wait(1)
    work()
    work()
    assert effects(committed) == ["job 1", "job 2"]


@pytest.mark.parametrize("broken", ["finish_job", "retry_job", "get_stalled_jobs"])
def test_a_worker_that_cannot_keep_the_books_of_its_jobs_ends_and_the_next_one_does_them(
    control, committed, work, monkeypatch, broken: str
) -> None:
    real, failed = getattr(JobManager, broken), []

    async def fail_once(manager: JobManager, *arguments: object, **options: object) -> object:
        if not failed:
            failed.append(broken)
            raise ConnectorException
        return await real(manager, *arguments, **options)

    def fail_first() -> None:
        if broken == "retry_job" and len(control.ran) == 1:
            raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(JobManager, broken, fail_once)
    control.act = fail_first
    enqueue(committed, 1)
    too_late = threading.Timer(90, os.kill, (os.getpid(), signal.SIGTERM))
    too_late.start()
    with pytest.raises(ExceptionGroup) as ended:
        work(wait=True)
    assert ended.group_contains(ConnectorException)
    too_late.cancel()
    eventually(lambda: again_at_once(committed) or work() or not statuses(committed), "the end of the job")
    assert effects(committed) == ["job 1"]


def test_what_only_a_newer_release_can_do_waits_for_it(control, committed, work) -> None:
    enqueue(committed, 1)
    with committed() as session:
        session.execute(text("UPDATE procrastinate_jobs SET task_name = 'tests.newer'"))
    work()
    assert statuses(committed) == ["todo"]
    with committed() as session:
        session.execute(text("UPDATE procrastinate_jobs SET task_name = 'tests.note', scheduled_at = NULL"))
    work()
    assert effects(committed) == ["job 1"]


def test_a_scheduled_job_begins_by_itself(committed, settings, environ, schedule) -> None:
    schedule["tests.tick"] = "* * * * *"
    too_late = threading.Timer(90, os.kill, (os.getpid(), signal.SIGTERM))
    too_late.start()
    # A worker that does not wait ends as soon as it finds nothing to do, which may be before its schedule's turn.
    worker.run(settings, WorkerSettings.from_environ(environ))
    too_late.cancel()
    assert set(effects(committed)) == {"tick"}  # a further one when a minute ends before the worker has stopped


def test_what_is_hopeless_dies_at_once_and_can_be_replayed(control, committing_app, committed, work) -> None:
    def fail() -> None:
        raise Hopeless("somebody must enter a key")

    control.act = fail
    (number,) = enqueue(committed, 1)
    work()
    client = new_client(committing_app)
    (dead,) = client.get("/api/v1/jobs").json["items"]
    assert (dead["id"], dead["status"], dead["arguments"]) == (number, "failed", {"number": 1})
    assert dead["last_failure"] == "Hopeless: somebody must enter a key"
    control.act = lambda: None
    assert client.post(f"/api/v1/jobs/{number}/replay", json={}).json["status"] == "todo"
    assert client.post(f"/api/v1/jobs/{number}/replay", json={}).status_code == 409
    assert client.post("/api/v1/jobs/999999/replay", json={}).status_code == 404
    work()
    assert effects(committed) == ["job 1"]


def test_waits_grow_and_end_within_two_days() -> None:
    total = sum(wait_seconds(attempt) for attempt in range(MOST_ATTEMPTS))
    assert 12 * 3600 < total < 48 * 3600
    assert max(wait_seconds(0) for _ in range(99)) <= 5


def test_every_job_that_is_enqueued_exists() -> None:
    enqueued = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "enqueue":
                enqueued.add(ast.literal_eval(node.args[1]))
    assert enqueued <= set(queue.app.tasks)


def test_old_marks_are_forgotten(client: FlaskClient, session: Session) -> None:
    session.execute(text("INSERT INTO finished_jobs VALUES (1, now() - interval '15 days'), (2, now())"))
    session.execute(
        text("INSERT INTO job_failures (job_id, attempt, reason, at) VALUES (1, 1, 'x', now() - interval '15 days')")
    )
    service.forget(session)
    assert list(session.scalars(text("SELECT job_id FROM finished_jobs"))) == [2]
    assert list(session.scalars(text("SELECT job_id FROM job_failures"))) == []
