"""What the accounts come to: what was carried forward last, and the lines since.

Every night the sums up to an entry are carried forward, so that adding up costs as much as a day brought, however many
entries there are. Nothing is added to what was carried forward: the database refuses it.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Select, func, insert, select, union_all
from sqlalchemy.orm import Session

from luckygas.ledger import days
from luckygas.ledger.models import Account, Carried, Entry, EntryLine

type Sums = Mapping[tuple[Account, int | None], int]
"""Whole TWD of each account, that of a driver's cash by driver."""


def totals(session: Session, *, driver_id: int | None = None) -> Sums:
    """Add up every account, or only what a driver has."""
    # Read for itself: the database then knows how little comes after it.
    return _added_up(session, _lines(after=_carried_up_to(session), driver_id=driver_id))


def cash_left(session: Session, *, day: date) -> dict[int, int]:
    """Return how much cash drivers have at the end of a day, those who have none left out."""
    left = Counter({driver_id: twd for (_, driver_id), twd in totals(session).items() if driver_id is not None})
    later = (
        select(EntryLine.account, EntryLine.driver_id, EntryLine.amount_twd)
        .join(Entry)
        .where(EntryLine.account == Account.DRIVER_CASH, Entry.day > day)
    )
    left.subtract({driver_id: twd for (_, driver_id), twd in _added_up(session, later).items()})
    return {driver_id: twd for driver_id, twd in left.items() if twd}


def newest_entry(session: Session) -> int | None:
    """Return up to where sums can be carried forward, or None if they are; nobody books until this transaction ends."""
    days.pause(session)
    newest = session.scalar(select(func.max(Entry.id))) or 0
    return newest if newest > _carried_up_to(session) else None


def carry(session: Session, *, up_to: int) -> None:
    """Carry the sums forward up to an entry that `newest_entry` returned in a transaction before this one."""
    before = _carried_up_to(session)
    if up_to <= before:
        return
    found = _added_up(session, _lines(after=before, up_to=up_to))
    rows = [
        {"up_to": up_to, "account": account, "driver_id": driver_id, "amount_twd": amount_twd}
        for (account, driver_id), amount_twd in found.items()
    ]
    if rows:
        session.execute(insert(Carried).values(rows), execution_options={"unlogged": "sums of what is logged"})


def _carried_up_to(session: Session) -> int:
    return session.scalar(select(func.max(Carried.up_to))) or 0


def _lines(*, after: int, up_to: int | None = None, driver_id: int | None = None) -> Select[tuple[str, int, int]]:
    carried = select(Carried.account, Carried.driver_id, Carried.amount_twd).where(Carried.up_to == after)
    since = select(EntryLine.account, EntryLine.driver_id, EntryLine.amount_twd).where(EntryLine.entry_id > after)
    if up_to is not None:
        since = since.where(EntryLine.entry_id <= up_to)
    if driver_id is not None:
        carried, since = carried.where(Carried.driver_id == driver_id), since.where(EntryLine.driver_id == driver_id)
    return select(union_all(carried, since).subquery())


def _added_up(session: Session, lines: Select[tuple[str, int, int]]) -> Sums:
    kinds = lines.subquery().c
    statement = select(kinds.account, kinds.driver_id, func.sum(kinds.amount_twd)).group_by(
        kinds.account, kinds.driver_id
    )
    return {(Account(account), driver_id): int(amount) for account, driver_id, amount in session.execute(statement)}
