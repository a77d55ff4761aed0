"""What admins do with people, and people with themselves."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from luckygas.access import Role
from luckygas.accounts import passwords, sessions, totp
from luckygas.accounts.models import Person
from luckygas.accounts.schemas import PasswordIn, PersonChange, PersonIn
from luckygas.errors import FieldError, Invalid, NotFound, Problem
from luckygas.volatile import Volatile

# Any number will do: whoever might take the last admin away waits for whoever else might.
_ADMINS_LOCK = 0x61646D696E


class LoginTaken(Problem):
    """Another person has this log-in name."""

    status, code, title = 409, "login_taken", "This log-in name is taken"


class LastAdmin(Problem):
    """Nobody would be left to manage people."""

    status, code, title = 409, "last_admin", "This is the last admin"


class TotpState(Problem):
    """The authenticator app is in use already, or not yet."""

    status, code, title = 409, "totp_state", "The authenticator app is not in the state for that"


def create(session: Session, *, person: PersonIn) -> tuple[Person, str]:
    """Store a new person; return it and the password to log in with for the first time."""
    if session.scalar(select(Person.id).where(Person.login == person.login)) is not None:
        raise LoginTaken(f"somebody logs in as {person.login} already: take another name")
    password = passwords.generate()
    row = Person(**person.model_dump(), password_hash=passwords.digest(password), must_change_password=True)
    session.add(row)
    session.flush()
    return row, password


def get(session: Session, *, person_id: int) -> Person:
    """Return one person, or raise `NotFound`."""
    row = session.get(Person, person_id)
    if row is None:
        raise NotFound(f"there is no person {person_id}")
    return row


def by_login(session: Session, *, login: str) -> Person:
    """Return the person who logs in under this name, or raise `NotFound`."""
    row = session.scalar(select(Person).where(Person.login == login))
    if row is None:
        raise NotFound(f"nobody logs in as {login}")
    return row


def find(session: Session, *, role: Role | None, before_id: int, count: int) -> Sequence[Person]:
    """Return at most `count` people with smaller ids than `before_id`, newest first, of one role or all."""
    statement = select(Person).where(Person.id < before_id).order_by(Person.id.desc()).limit(count)
    if role is not None:
        statement = statement.where(Person.role == role)
    return session.scalars(statement).all()


def change(session: Session, *, volatile: Volatile, person_id: int, change: PersonChange, now: datetime) -> Person:
    """Change what is named; another role or being disabled ends all sessions of the person."""
    row = get(session, person_id=person_id)
    role, disabled = change.role or row.role, change.disabled
    loses_rights = role != row.role or (disabled and row.disabled_at is None)
    if loses_rights and row.role == Role.ADMIN:
        _leave_an_admin(session, besides=row)
    row.name = change.name or row.name
    row.role = role
    if disabled is not None:
        row.disabled_at = (row.disabled_at or now) if disabled else None
    if loses_rights:
        sessions.end_all(session, volatile=volatile, person_id=row.id)
    session.flush()
    return row


def reset_password(session: Session, *, volatile: Volatile, person_id: int) -> tuple[Person, str]:
    """Give a person a new password to log in with once, end all sessions, and forget the authenticator app."""
    row = get(session, person_id=person_id)
    password = passwords.generate()
    row.password_hash, row.must_change_password = passwords.digest(password), True
    _forget_totp(row)
    sessions.end_all(session, volatile=volatile, person_id=row.id)
    session.flush()
    return row, password


def change_password(session: Session, *, volatile: Volatile, person_id: int, change: PasswordIn) -> Person:
    """Replace a person's own password, and end all sessions, since one of them may be the reason."""
    row = get(session, person_id=person_id)
    _prove(row, change.current)
    if (weakness := passwords.weakness(change.new, login=row.login)) is not None:
        raise Invalid.because(FieldError("new", weakness))
    if change.new == change.current:
        raise Invalid.because(FieldError("new", "the same as before: take another one"))
    row.password_hash, row.must_change_password = passwords.digest(change.new), False
    sessions.end_all(session, volatile=volatile, person_id=row.id)
    session.flush()
    return row


def begin_totp(session: Session, *, person_id: int, password: str) -> Person:
    """Give a person a secret for an authenticator app; it counts when a code of it was confirmed."""
    row = get(session, person_id=person_id)
    _prove(row, password)
    if row.has_totp:
        raise TotpState("an authenticator app is in use: take it away first")
    row.totp_secret = totp.new_secret()
    session.flush()
    return row


def confirm_totp(session: Session, *, person_id: int, code: str, now: datetime) -> Person:
    """Ask for a code from now on, since the person's app gives the right ones."""
    row = get(session, person_id=person_id)
    if row.has_totp or row.totp_secret is None:
        raise TotpState("there is no secret that waits for its first code: ask for one first")
    step = totp.accepted_step(row.totp_secret, code, last_step=None, now=now)
    if step is None:
        raise Invalid.because(FieldError("code", "not the code of this half minute: check the clock of the phone"))
    row.totp_last_step, row.totp_confirmed_at = step, now
    session.flush()
    return row


def drop_totp(session: Session, *, person_id: int, password: str) -> Person:
    """Ask for no code any more."""
    row = get(session, person_id=person_id)
    _prove(row, password)
    _forget_totp(row)
    session.flush()
    return row


def _forget_totp(row: Person) -> None:
    row.totp_secret = row.totp_confirmed_at = row.totp_last_step = None


def _prove(row: Person, password: str) -> None:
    if not passwords.fits(row.password_hash, password):
        raise Invalid.because(FieldError("current", "not the password of today"))


def _leave_an_admin(session: Session, *, besides: Person) -> None:
    session.execute(select(func.pg_advisory_xact_lock(_ADMINS_LOCK)))
    others = select(Person.id).where(Person.role == Role.ADMIN, Person.disabled_at.is_(None), Person.id != besides.id)
    if session.scalar(others.limit(1)) is None:
        raise LastAdmin(f"without {besides.login} nobody could manage people: make another admin first")
