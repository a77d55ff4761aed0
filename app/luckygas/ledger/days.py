"""The books by day: what was turned over, and which days are closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import BigInteger, case, func, select
from sqlalchemy.orm import Session, aliased

from luckygas.errors import NotFound, WrongState
from luckygas.ledger.models import Account, Closing, Entry, EntryKind, EntryLine

# The same number as in the migration that made `ledger_open_day`.
_LOCK: Final = 0x6C75636B796461

REVERSAL_OF: Final = "reversal-"
"""What the reference of a reversal begins with; the id of the entry that it meets follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnover:
    """What the entries of one kind, of one driver or of nobody, did to one account on a day, in whole TWD.

    A reversal is of the kind of what it meets: cash that was not handed in after all did not come in from a customer.
    """

    kind: EntryKind
    driver_id: int | None
    account: Account
    amount_twd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """A sale of a day."""

    order_id: int
    driver_id: int | None


def open_day(session: Session, *, wanted: date) -> date:
    """Return the day to book on: `wanted`, or the first that is not closed. It stays open for this transaction."""
    return session.scalars(select(func.ledger_open_day(wanted))).one()


def pause(session: Session) -> None:
    """Wait for whoever is booking, and let nobody book until the end of this transaction."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def hold(session: Session, *, day: date, today: date) -> None:
    """Let nobody book until the end of this transaction, and make sure that `day` is the next to be closed."""
    pause(session)
    if day > today:
        raise WrongState(f"{day} is not over: close {today} at the latest")
    closed = session.scalar(select(func.max(Closing.day)))
    if closed is not None and day <= closed:
        raise WrongState(f"the books are closed up to {closed}")
    earlier = select(func.min(Entry.day)).where(Entry.day < day)
    if closed is not None:
        earlier = earlier.where(Entry.day > closed)
    if (first := session.scalar(earlier)) is not None:
        raise WrongState(f"something is booked on {first}: close that day first")


def open_since(session: Session) -> date | None:
    """Return the first day on which something is booked and that is not closed, None before any day ever was closed."""
    closed = session.scalar(select(func.max(Closing.day)))
    return None if closed is None else session.scalar(select(func.min(Entry.day)).where(Entry.day > closed))


def seal(session: Session, *, day: date, report: dict[str, Any], by: str) -> Closing:
    """Close a day that is held, for good."""
    row = Closing(day=day, report=report, by=by)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def turnover(session: Session, *, day: date) -> Sequence[Turnover]:
    """Add up the lines of a day."""
    met = aliased(Entry)
    # Only what a reversal refers to ends with the id of an entry; a condition might be looked at after the cast.
    met_id = case((Entry.kind == EntryKind.REVERSAL, func.substr(Entry.reference, len(REVERSAL_OF) + 1)))
    kinds = (func.coalesce(met.kind, Entry.kind), Entry.driver_id, EntryLine.account)
    statement = (
        select(*kinds, func.sum(EntryLine.amount_twd))
        .select_from(Entry)
        .join(EntryLine)
        .outerjoin(met, met.id == met_id.cast(BigInteger))
        .where(Entry.day == day)
        .group_by(*kinds)
    )
    return [
        Turnover(kind=EntryKind(kind), driver_id=driver_id, account=Account(account), amount_twd=int(amount))
        for kind, driver_id, account, amount in session.execute(statement)
    ]


def sold(session: Session, *, day: date) -> Sequence[Sold]:
    """Return the sales of a day, gifts included."""
    sales = select(Entry.order_id, Entry.driver_id).where(Entry.day == day, Entry.kind == EntryKind.SALE)
    rows = session.execute(sales.order_by(Entry.id))
    return [Sold(order_id=order_id, driver_id=driver_id) for order_id, driver_id in rows]


def taken_back(session: Session, *, day: date) -> Sequence[int]:
    """Return the orders whose sale was taken back on a day."""
    returns = select(Entry.order_id).where(Entry.day == day, Entry.kind == EntryKind.RETURN)
    return session.scalars(returns.order_by(Entry.id)).all()


def get(session: Session, *, closing_id: int) -> Closing:
    """Return one closing, or raise `NotFound`."""
    row = session.get(Closing, closing_id)
    if row is None:
        raise NotFound(f"there is no closing {closing_id}")
    return row


def find(session: Session, *, before_id: int, count: int) -> Sequence[Closing]:
    """Return at most `count` closings with smaller ids than `before_id`, newest first."""
    statement = select(Closing).where(Closing.id < before_id).order_by(Closing.id.desc()).limit(count)
    return session.scalars(statement).all()
