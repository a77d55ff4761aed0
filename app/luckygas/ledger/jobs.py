"""The jobs of the books."""

from sqlalchemy.orm import Session

from luckygas.jobs.queue import enqueue, job
from luckygas.ledger import sums
from luckygas.resources import Resources


@job("ledger.carry", cron="40 16 * * *")  # 00:40 in Taipei
def carry(session: Session, _held: Resources) -> None:
    """Find up to where sums can be carried forward: bookings wait for this look, not for the adding up."""
    if (up_to := sums.newest_entry(session)) is not None:
        enqueue(session, "ledger.carry_up_to", lock="ledger.carry", entry_id=up_to)


@job("ledger.carry_up_to")
def carry_up_to(session: Session, _held: Resources, *, entry_id: int) -> None:
    """Carry the sums of all accounts forward."""
    sums.carry(session, up_to=entry_id)
