"""Who used which key, and how often: counted in memory, written down together.

A process that is killed takes with it what it counted since it last wrote.
"""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from luckygas.accounts.models import ApiKey, KeyUse

INTERVAL_SECONDS: Final = 10

logger = logging.getLogger(__name__)


class UseCounter:
    """What one process counted and did not write down yet."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, date]] = Counter()
        self._last: dict[str, datetime] = {}

    def note(self, key_id: str, *, now: datetime, today: date) -> None:
        """Count one request."""
        with self._lock:
            self._requests[key_id, today] += 1
            self._last[key_id] = now

    def write(self, sessions: sessionmaker[Session]) -> None:
        """Write down what was counted, in a transaction of its own; what cannot be written is kept for later."""
        with self._lock:
            requests, self._requests = self._requests, Counter()
            last, self._last = self._last, {}
        if not requests:
            return
        try:
            with sessions.begin() as session:
                record(session, requests=requests, last=last)
        except SQLAlchemyError as error:
            logger.warning("the use of keys is written down later", extra={"reason": str(error.__cause__ or error)})
            with self._lock:
                self._requests.update(requests)
                self._last = last | self._last

    def keep_writing(self, sessions: sessionmaker[Session]) -> None:
        """Write every few seconds, in a thread that does not keep the process from ending."""

        def write_on() -> None:
            pause = threading.Event()
            while not pause.wait(INTERVAL_SECONDS):
                self.write(sessions)

        threading.Thread(target=write_on, name="key-uses", daemon=True).start()


def record(session: Session, *, requests: Counter[tuple[str, date]], last: dict[str, datetime]) -> None:
    """Add to what is stored; always in the same order, since two processes may do so at once."""
    # After the database was set back to a moment of the past, a key that was used may not be there any more.
    known = set(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(last))))
    days = sorted(day for day in requests if day[0] in known)
    if not days:
        return
    rows = [{"key_id": day[0], "day": day[1], "requests": requests[day]} for day in days]
    statement = insert(KeyUse)
    added = KeyUse.requests + statement.excluded.requests
    session.execute(
        statement.on_conflict_do_update(constraint=KeyUse.__table__.primary_key, set_={"requests": added}), rows
    )
    for key_id in sorted(known):
        # It is null at first, and greatest() takes what is there.
        latest = func.greatest(ApiKey.last_used_at, last[key_id])
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=latest),
            execution_options={"synchronize_session": False, "unlogged": "it only says when it was used"},
        )


def of_key(session: Session, *, key_id: str, since: date) -> Sequence[KeyUse]:
    """Return the days since `since` on which a key was used, the newest first."""
    days = select(KeyUse).where(KeyUse.key_id == key_id, KeyUse.day >= since)
    return session.scalars(days.order_by(KeyUse.day.desc())).all()
