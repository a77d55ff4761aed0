"""Sessions of people: kept in PostgreSQL, remembered in Redis so that a request need not ask there.

What Redis remembers is good for a minute at most. The end of a session is noted in both, and its note in Redis stays
long enough to outlive every request that read the session before.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from luckygas.access import Principal, Role
from luckygas.accounts.models import Person, WebSession
from luckygas.audit.recording import note
from luckygas.db.session import after_commit
from luckygas.errors import Unauthenticated
from luckygas.volatile import Volatile


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how long a session lasts without a request, and at all."""

    idle: timedelta
    absolute: timedelta


LIFETIMES: Final[Mapping[Role, Lifetime]] = {
    Role.ADMIN: Lifetime(timedelta(hours=1), timedelta(hours=12)),
    Role.DISPATCHER: Lifetime(timedelta(hours=12), timedelta(days=7)),
    Role.DRIVER: Lifetime(timedelta(hours=12), timedelta(days=7)),
}
SEEN_RESOLUTION: Final = timedelta(minutes=5)
REMEMBERED_SECONDS: Final = 60
ENDED_SECONDS: Final = 2 * REMEMBERED_SECONDS

_KEY: Final = "lg:session:{}"
_ENDED: Final = b"ended"
_CLEANED_AT_ONCE: Final = 100


def start(session: Session, *, person: Person, agent: str | None, address: str | None, now: datetime) -> str:
    """Store a new session of `person` and return its token, which is in no other place."""
    _forget_expired(session, now=now)
    token = secrets.token_urlsafe(32)
    expires_at = now + LIFETIMES[Role(person.role)].absolute
    session.add(
        WebSession(id=_identify(token), person=person, agent=agent, address=address, seen_at=now, expires_at=expires_at)
    )
    session.flush()
    return token


def authenticate(session: Callable[[], Session], *, volatile: Volatile, token: str, now: datetime) -> Principal:
    """Return who is logged in with `token`, or raise `Unauthenticated`. Without Redis' memory it takes a `session`."""
    session_id = _identify(token)
    key = _KEY.format(session_id.hex())
    remembered = volatile.ask(lambda redis: redis.get(key), otherwise=None)
    if remembered is not None and remembered != _ENDED:
        return _principal(**json.loads(remembered))
    row = session().get(WebSession, session_id) if remembered is None else None
    if row is None or not is_alive(row, now=now):
        raise Unauthenticated("the session has ended: log in again", innocent=True)
    _note_seen(session(), row=row, now=now)
    person = row.person
    facts = {"person_id": person.id, "role": person.role, "must_change_password": person.must_change_password}
    seconds = min(REMEMBERED_SECONDS, int((_ends_at(row) - now).total_seconds()) + 1)
    # Never over the note that it has ended, which may have come since the row was read.
    volatile.ask(lambda redis: redis.set(key, json.dumps(facts), ex=seconds, nx=True), otherwise=None)
    return _principal(**facts)


def principal_of(person: Person) -> Principal:
    """Return what `person` is to the rest of the service."""
    return _principal(person_id=person.id, role=person.role, must_change_password=person.must_change_password)


def is_alive(row: WebSession, *, now: datetime) -> bool:
    """Tell whether a session is still good for requests."""
    return now < _ends_at(row) and row.person.disabled_at is None


def of_person(session: Session, *, person_id: int, now: datetime) -> Sequence[WebSession]:
    """Return the sessions of a person that are alive, the one last used first."""
    rows = session.scalars(
        select(WebSession).where(WebSession.person_id == person_id).order_by(WebSession.seen_at.desc())
    )
    return [row for row in rows if is_alive(row, now=now)]


def end(session: Session, *, volatile: Volatile, token: str) -> int:
    """End one session; return how many there were of it."""
    statement = delete(WebSession).where(WebSession.id == _identify(token))
    ended = session.execute(statement.returning(WebSession.id, WebSession.person_id)).all()
    for _, person_id in ended:
        note(session, action="logged_out", entity="people", entity_id=person_id)
    return _forget(session, volatile, [session_id for session_id, _ in ended])


def end_all(session: Session, *, volatile: Volatile, person_id: int) -> int:
    """End all sessions of a person; return how many there were."""
    ended = session.scalars(delete(WebSession).where(WebSession.person_id == person_id).returning(WebSession.id)).all()
    note(session, action="sessions_ended", entity="people", entity_id=person_id, details={"count": len(ended)})
    return _forget(session, volatile, ended)


def _forget(session: Session, volatile: Volatile, ids: Iterable[bytes]) -> int:
    keys = [_KEY.format(session_id.hex()) for session_id in ids]
    for key in keys:
        after_commit(
            session,
            lambda key=key: volatile.ask(lambda redis: redis.set(key, _ENDED, ex=ENDED_SECONDS), otherwise=None),
        )
    return len(keys)


def _principal(*, person_id: int, role: str, must_change_password: bool) -> Principal:
    return Principal(f"person:{person_id}", Role(role), person_id=person_id, must_change_password=must_change_password)


def _identify(token: str) -> bytes:
    """Return what a token is stored as: it has 256 random bits, so a plain digest of it tells nothing."""
    return hashlib.sha256(token.encode()).digest()


def _ends_at(row: WebSession) -> datetime:
    return min(row.expires_at, row.seen_at + LIFETIMES[Role(row.person.role)].idle)


def _note_seen(session: Session, *, row: WebSession, now: datetime) -> None:
    if now - row.seen_at >= SEEN_RESOLUTION:
        due = select(WebSession.id).where(WebSession.id == row.id).with_for_update(skip_locked=True)
        session.execute(
            update(WebSession).where(WebSession.id == due.scalar_subquery()).values(seen_at=now),
            execution_options={"synchronize_session": False},
        )


def _forget_expired(session: Session, *, now: datetime) -> None:
    """Remove some that nobody can use any more, so that the table stays as long as the sessions are many."""
    old = (
        select(WebSession.id)
        .where(WebSession.expires_at < now)
        .limit(_CLEANED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(delete(WebSession).where(WebSession.id.in_(old)), execution_options={"synchronize_session": False})
