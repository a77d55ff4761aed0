"""Logging in, and being kept from it for a while after too many attempts that failed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from luckygas.accounts import passwords, sessions, totp
from luckygas.accounts.models import LoginAttempts, Person
from luckygas.accounts.schemas import LoginIn
from luckygas.audit.recording import note
from luckygas.errors import Problem

FREE_FAILURES: Final = 5
FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=15)
FORGIVEN_AFTER: Final = timedelta(days=1)

_FORGIVEN_AT_ONCE: Final = 100


class LoginRefused(Problem):
    """Name, password or code is wrong, or the person is disabled; which of them is not told."""

    status, code, title = 401, "login_refused", "The log-in was refused"


class TotpCodeNeeded(Problem):
    """The password was right, and this person uses an authenticator app."""

    status, code, title = 401, "totp_code_needed", "The code of the authenticator app is needed, too"


class LoginLocked(Problem):
    """Too many attempts failed under this name."""

    status, code, title = 429, "login_locked", "Too many attempts to log in failed"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Who logged in, and the token of the new session."""

    person: Person
    token: str


def log_in(
    session: Session, *, credentials: LoginIn, agent: str | None, address: str | None, now: datetime
) -> LoggedIn | Problem:
    """Begin a session, or return why not: what was noted of the failure is to be committed as well."""
    attempts = _attempts(session, login=credentials.login, now=now)
    if attempts.locked_until is not None and now < attempts.locked_until:
        seconds = int((attempts.locked_until - now).total_seconds()) + 1
        return LoginLocked(f"wait {seconds} seconds, then try again", headers={"Retry-After": str(seconds)})
    person = session.scalar(select(Person).where(Person.login == credentials.login))
    if (refusal := _refusal(person, credentials, now=now)) is not None:
        if isinstance(refusal, LoginRefused):
            attempts.failures += 1
            attempts.failed_at = now
            attempts.locked_until = now + wait if (wait := wait_after(attempts.failures)) else None
            details = {"failures": attempts.failures, "locked_until": attempts.locked_until}
            note(session, action="login_refused", entity="logins", entity_id=credentials.login, details=details)
        return refusal
    session.delete(attempts)
    if passwords.is_outdated(person.password_hash):
        person.password_hash = passwords.digest(credentials.password)
    token = sessions.start(session, person=person, agent=agent, address=address, now=now)
    note(session, action="logged_in", entity="people", entity_id=person.id, details={"agent": agent})
    return LoggedIn(person, token)


def wait_after(failures: int) -> timedelta:
    """Return how long nobody can log in under a name after so many failures in a row."""
    if failures < FREE_FAILURES:
        return timedelta()
    # The exponent is bounded as well: nobody stops an attacker at a number that a computer can shift by.
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - FREE_FAILURES, 16))


def _attempts(session: Session, *, login: str, now: datetime) -> LoginAttempts:
    """Return the row of this name, locked: attempts under one name go one after the other."""
    old = select(LoginAttempts.login).where(LoginAttempts.failed_at < now - FORGIVEN_AFTER)
    old = old.limit(_FORGIVEN_AT_ONCE).with_for_update(skip_locked=True)
    session.execute(delete(LoginAttempts).where(LoginAttempts.login.in_(old)))
    statement = (
        insert(LoginAttempts)
        .values(login=login, failures=0, failed_at=now)
        .on_conflict_do_update(constraint=LoginAttempts.__table__.primary_key, set_={"login": login})
        .returning(LoginAttempts)
    )
    return session.scalars(statement, execution_options={"populate_existing": True}).one()


def _refusal(person: Person | None, credentials: LoginIn, *, now: datetime) -> Problem | None:
    refused = LoginRefused("name, password or code is wrong: check them, or ask an admin for a new password")
    right = passwords.fits(person.password_hash if person else None, credentials.password)
    if person is None or not right or person.disabled_at is not None:
        return refused
    if not person.has_totp:
        return None
    if credentials.code is None:
        return TotpCodeNeeded("send the code that the authenticator app shows, as code, together with the password")
    step = totp.accepted_step(person.totp_secret, credentials.code, last_step=person.totp_last_step, now=now)
    if step is None:
        return refused
    person.totp_last_step = step
    return None
