"""The job of the audit log."""

from sqlalchemy.orm import Session

from luckygas.audit import service
from luckygas.jobs.queue import job
from luckygas.resources import Resources


@job("audit.verify", cron="50 20 * * *")  # 04:50 in Taipei
def verify(session: Session, _held: Resources) -> None:
    """Go through the whole log; what is found shows in the metrics, broken or not."""
    service.check(session)
