"""The two ends of the queue: `enqueue` for whoever has work for later, `@job` for who does it.

A job gets a transaction and commits its effect together with the note that it is done. A worker that dies before that
leaves nothing behind, and one that dies after it is not repeated. What a job asks of another company cannot be part of
that transaction, so it carries an id by which the other side recognises a repetition.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from procrastinate import App, BaseConnector, JobContext, SyncPsycopgConnector
from procrastinate.tasks import Task
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from luckygas import spans
from luckygas.audit.actor import Actor
from luckygas.audit.recording import ACTOR
from luckygas.instruments import JOB_SECONDS, JOBS
from luckygas.jobs.backoff import BackOff
from luckygas.jobs.tables import FinishedJob, JobFailure
from luckygas.resources import Resources

type Work = Callable[..., None]

_REASON_LENGTH: Final = 500

logger = logging.getLogger(__name__)

# The connector is never opened: what is enqueued travels on the connection of its cause.
app: Final = App(connector=SyncPsycopgConnector())

SCHEDULE: Final[dict[str, str]] = {}
"""The jobs that also run by themselves: when, as cron says it in UTC, by name."""

_RUNS: Final[dict[str, Work]] = {}


def job(name: str, *, cron: str | None = None) -> Callable[[Work], Work]:
    """Make `work(session, held, **arguments)` the job `name`, which also runs by itself if `cron` (in UTC) says so."""

    def register(work: Work) -> Work:
        def run(context: JobContext, **arguments: Any) -> None:
            arguments.pop("timestamp", None)
            came = arguments.pop(spans.TRACEPARENT, None)
            began, outcome = time.perf_counter(), "failed"
            try:
                with spans.job(f"job {name}", came, _described(context)):
                    _run_once(context, work, arguments)
                outcome = "done"
            finally:
                JOBS.labels(name, outcome).inc()
                JOB_SECONDS.labels(name).observe(time.perf_counter() - began)

        _RUNS[name] = run
        _add(app, name)
        if cron is not None:
            SCHEDULE[name] = cron
        return work

    return register


def serving(connector: BaseConnector) -> App:
    """Return an app with all jobs for a worker, which also begins those of the schedule, over its own connections.

    The jobs are added anew: a task begins through the app that it was first added to, which has no connection.
    """
    own = App(connector=connector)
    for name in _RUNS:
        task = _add(own, name)
        if name in SCHEDULE:
            # One waits at most: after an outage, a job that looks at everything need not run once for each miss.
            own.periodic(cron=SCHEDULE[name], queueing_lock=name)(task)
    return own


def enqueue(session: Session, name: str, *, lock: str | None = None, **arguments: Any) -> int:
    """Have the job `name` run after the transaction of `session` has committed; return its id.

    Jobs of one `lock` run one after the other, in the order in which they were enqueued.
    """
    connection = session.connection().connection.driver_connection
    deferrer = app.configure_task(name, lock=lock, connection=connection)
    with spans.within(f"enqueue {name}", kind="producer"):
        return deferrer.defer(**arguments, **spans.carried())


def _add(to: App, name: str) -> Task:
    return to.task(name=name, retry=BackOff(), pass_context=True)(_RUNS[name])


def _described(context: JobContext) -> dict[str, str | int]:
    return {
        "messaging.system": "procrastinate",
        "messaging.destination.name": context.job.task_name,
        "messaging.message.id": f"{context.job.id}",
        "luckygas.job.attempt": context.job.attempts + 1,
    }


def _run_once(context: JobContext, work: Work, arguments: dict[str, Any]) -> None:
    """Run a job unless its effect is there already."""
    held: Resources = context.additional_context["resources"]
    number = context.job.id
    actor = Actor(f"job:{context.job.task_name}", origin=f"job {number}")
    try:
        with held.sessions(info={ACTOR: lambda: actor}) as session:
            # Of two who run the same job, the second waits here until the first has committed or failed.
            mark = insert(FinishedJob).values(job_id=number).on_conflict_do_nothing().returning(FinishedJob.job_id)
            if session.scalar(mark) is None:
                logger.info("a job was done before", extra={"job": number})
                return
            work(session, held, **arguments)
            with spans.within("commit"):
                session.commit()
    except Exception as error:
        _note_failure(held, number, context.job.attempts + 1, error)
        raise


def _note_failure(held: Resources, number: int, attempt: int, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"[:_REASON_LENGTH]
    try:
        with held.sessions() as session, session.begin():
            session.add(JobFailure(job_id=number, attempt=attempt, reason=reason))
    except Exception:
        # It is the database that is away, most likely: the log has the reason all the same.
        logger.exception("the failure of a job could not be noted", extra={"job": number, "reason": reason})
