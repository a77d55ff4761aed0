"""The queue's own scheduled job."""

from sqlalchemy.orm import Session

from luckygas.jobs import service
from luckygas.jobs.queue import job
from luckygas.resources import Resources


@job("jobs.forget", cron="20 19 * * *")  # 03:20 in Taipei
def forget(session: Session, _held: Resources) -> None:
    """Remove what is remembered of jobs that are long gone."""
    service.forget(session)
