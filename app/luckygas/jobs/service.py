"""Looking at jobs, and giving dead ones another life."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from luckygas.errors import NotFound, WrongState

_SELECT: Final = """
SELECT jobs.id, task_name AS name, status::text, attempts, args AS arguments, scheduled_at,
       failure.reason AS last_failure, failure.at AS last_failed_at
FROM procrastinate_jobs AS jobs
LEFT JOIN LATERAL (
    SELECT reason, at FROM job_failures WHERE job_id = jobs.id ORDER BY id DESC LIMIT 1
) AS failure ON true
"""
_FIND: Final = text(
    f"{_SELECT} WHERE status = CAST(:status AS procrastinate_job_status) AND jobs.id < :before_id"
    " ORDER BY jobs.id DESC LIMIT :count"
)
_GET: Final = text(f"{_SELECT} WHERE jobs.id = :job_id")
_LOCK: Final = text("SELECT status::text FROM procrastinate_jobs WHERE id = :job_id FOR UPDATE")
_REPLAY: Final = text("SELECT procrastinate_retry_job_v2(:job_id, now(), NULL, NULL, NULL)")
_FRESH: Final = text("UPDATE procrastinate_jobs SET attempts = 0 WHERE id = :job_id")
_NOTIFY: Final = text("SELECT pg_notify('procrastinate_any_queue_v1', :payload)")
_LOCKS_IN_USE: Final = text(
    "SELECT DISTINCT lock FROM procrastinate_jobs WHERE lock = ANY(:locks) AND status IN ('todo', 'doing', 'failed')"
)
_ALIVE: Final = text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '15 seconds'")
# Finished jobs leave the table, so that it holds what is to be done and what failed for good.
_COUNT: Final = text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
_WAITING_SINCE: Final = text("""
SELECT coalesce(scheduled_at, (SELECT min(at) FROM procrastinate_events WHERE job_id = jobs.id AND type = 'deferred'))
FROM procrastinate_jobs AS jobs
WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now()) ORDER BY id LIMIT 1
""")
_FORGET: Final = (
    text("DELETE FROM finished_jobs WHERE at < now() - interval '14 days'"),
    text(
        "DELETE FROM job_failures WHERE at < now() - interval '14 days'"
        " AND NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = job_id)"
    ),
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the queue holds."""

    jobs: Mapping[str, int]
    waiting_since: datetime | None
    """Since when the oldest job that is due could have been begun."""
    has_worker: bool


def backlog(session: Session) -> Backlog:
    """Return how many jobs there are of each status, and since when one waits."""
    counted = dict.fromkeys(("todo", "doing", "failed"), 0) | dict(map(tuple, session.execute(_COUNT)))
    return Backlog(counted, session.scalar(_WAITING_SINCE), has_live_worker(session))


def find(session: Session, *, status: str, before_id: int, count: int) -> Sequence[Row[Any]]:
    """Return at most `count` jobs of a status with smaller ids than `before_id`, newest first."""
    return session.execute(_FIND, {"status": status, "before_id": before_id, "count": count}).all()


def replay(session: Session, *, job_id: int) -> Row[Any]:
    """Have a dead job run again, as if it had never failed. Raises `WrongState` for one that is not dead."""
    status = session.scalar(_LOCK, {"job_id": job_id})
    if status is None:
        raise NotFound(f"there is no job {job_id}")
    if status != "failed":
        raise WrongState(f"job {job_id} is {status}: only a failed one can be replayed")
    for statement in (_REPLAY, _FRESH):
        session.execute(statement, {"job_id": job_id})
    session.execute(_NOTIFY, {"payload": f'{{"type": "job_inserted", "job_id": {job_id}}}'})
    return session.execute(_GET, {"job_id": job_id}).one()


def locks_in_use(session: Session, *, locks: Sequence[str]) -> set[str]:
    """Return those of these locks under which a job waits, runs or is dead."""
    return set(session.scalars(_LOCKS_IN_USE, {"locks": list(locks)}))


def has_live_worker(session: Session) -> bool:
    """Tell whether some worker's heart has beaten just now."""
    return bool(session.scalar(_ALIVE))


def forget(session: Session) -> None:
    """Remove what is remembered of jobs that are long gone."""
    for statement in _FORGET:
        session.execute(statement)
