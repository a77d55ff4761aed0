"""The nightly jobs: learn, then go through all customers in batches, each of which is a job that ends by the next."""

from datetime import date

from sqlalchemy.orm import Session

from luckygas.jobs.queue import enqueue, job
from luckygas.predictions import service
from luckygas.resources import Resources


@job("predictions.nightly", cron="10 20 * * *")  # 04:10 in Taipei
def nightly(session: Session, held: Resources) -> None:
    """Learn from the past and begin to predict."""
    today = held.today()
    service.learn(session, today=today, zone=held.settings.timezone)
    service.forget(session, today=today)
    enqueue(session, "predictions.batch", after_id=0, day=f"{today}")


@job("predictions.batch")
def batch(session: Session, held: Resources, *, after_id: int, day: str) -> None:
    """Predict for the customers that come after one, and suggest what they may want on the day after `day`."""
    today = date.fromisoformat(day)
    last = service.predict(session, after_id=after_id, today=today, zone=held.settings.timezone)
    if last is not None:
        enqueue(session, "predictions.batch", after_id=last, day=day)
