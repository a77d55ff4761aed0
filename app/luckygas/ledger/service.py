"""What can be done with the books: add to them, and add up."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import Select, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from luckygas.audit.recording import note_created
from luckygas.errors import NotFound, WrongState
from luckygas.ledger import days, sums
from luckygas.ledger.bookings import Booking, Deposit, Line, Sale
from luckygas.ledger.models import Account, Entry, EntryKind, EntryLine
from luckygas.ledger.schemas import EntryQuery

REVERSIBLE: Final = frozenset({EntryKind.PAYMENT, EntryKind.HAND_IN})
"""What is only a booking. The others have a deed behind them, which is undone where it was done."""


def post(session: Session, *, booking: Booking) -> Entry:
    """Add an entry, on the next day that is open if its own is closed; lines of nothing are left out.

    Raises `ValueError` for lines that do not come to zero.
    """
    lines = [line for line in booking.lines if line.amount_twd]
    if wrong := sum(line.amount_twd for line in lines):
        raise ValueError(f"the lines of a {booking.kind} come to {wrong}, not to 0")
    entry = Entry(
        day=days.open_day(session, wanted=booking.day),
        kind=booking.kind,
        order_id=booking.order_id,
        driver_id=booking.driver_id,
        reference=booking.reference,
        note=booking.note,
        by=booking.by,
    )
    session.add(entry)
    session.flush()
    if lines:
        rows = [
            {
                "entry_id": entry.id,
                "position": position,
                "account": line.account,
                "customer_id": line.customer_id,
                "driver_id": line.driver_id,
                "amount_twd": line.amount_twd,
            }
            for position, line in enumerate(lines, start=1)
        ]
        # In one statement, at whose end the database adds them up.
        session.execute(insert(EntryLine).values(rows), execution_options={"unlogged": "logged beside it"})
        note_created(session, EntryLine, rows)
    session.refresh(entry)
    return entry


def sell(session: Session, *, sale: Sale, day: date, by: str) -> Entry:
    """Book what a delivered order owes."""
    booking = Booking(
        kind=EntryKind.SALE,
        day=day,
        by=by,
        order_id=sale.order_id,
        driver_id=sale.driver_id,
        reference=f"sale-{sale.order_id}",
        lines=[
            Line.debt(sale.total_twd, customer_id=sale.customer_id),
            Line(account=Account.SALES, amount_twd=-sale.total_twd),
        ],
    )
    return post(session, booking=booking)


def take_back(session: Session, *, order_id: int, day: date, by: str, reason: str) -> Entry | None:
    """Book that an order which was delivered owes nothing any more; nothing for one that was never booked."""
    sale = session.scalar(select(Entry).where(Entry.reference == f"sale-{order_id}"))
    if sale is None:
        return None
    booking = Booking(
        kind=EntryKind.RETURN,
        day=day,
        by=by,
        order_id=order_id,
        driver_id=sale.driver_id,
        reference=f"return-{order_id}",
        note=reason,
        lines=_opposite(sale),
    )
    return post(session, booking=booking)


def move_deposit(session: Session, *, deposit: Deposit, day: date, by: str) -> Entry:
    """Book a deposit that was paid in, or, negative, given back."""
    booking = Booking(
        kind=EntryKind.DEPOSIT,
        day=day,
        by=by,
        driver_id=deposit.driver_id,
        reference=f"deposit-{deposit.deposit_id}",
        lines=[
            Line.cash(deposit.amount_twd, driver_id=deposit.driver_id),
            Line(account=Account.DEPOSITS, amount_twd=-deposit.amount_twd, customer_id=deposit.customer_id),
        ],
    )
    return post(session, booking=booking)


def reverse(session: Session, *, entry_id: int, day: date, by: str, reason: str) -> Entry:
    """Meet an entry that was a mistake by its opposite, once."""
    entry = get(session, entry_id=entry_id)
    if entry.kind not in REVERSIBLE:
        raise WrongState(f"entry {entry.id} is a {entry.kind}: only {' and '.join(sorted(REVERSIBLE))} can be reversed")
    booking = Booking(
        kind=EntryKind.REVERSAL,
        day=day,
        by=by,
        order_id=entry.order_id,
        driver_id=entry.driver_id,
        reference=f"{days.REVERSAL_OF}{entry.id}",
        note=reason,
        lines=_opposite(entry),
    )
    try:
        with session.begin_nested():
            return post(session, booking=booking)
    except IntegrityError:
        raise WrongState(f"entry {entry.id} is reversed already") from None


def get(session: Session, *, entry_id: int) -> Entry:
    """Return one entry, or raise `NotFound`."""
    row = session.get(Entry, entry_id)
    if row is None:
        raise NotFound(f"there is no entry {entry_id}")
    return row


def find(session: Session, *, query: EntryQuery, before_id: int, count: int) -> Sequence[Entry]:
    """Return at most `count` entries with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Entry).where(Entry.id < before_id).order_by(Entry.id.desc()).limit(count)
    for column in (Entry.day, Entry.kind, Entry.order_id):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    if query.customer_id is not None:
        of_customer = select(EntryLine.entry_id).where(EntryLine.customer_id == query.customer_id)
        statement = statement.where(Entry.id.in_(of_customer))
    return session.scalars(statement).all()


def owed(session: Session, *, customer_id: int) -> int:
    """Return what a customer owes, whole TWD; negative is what we owe them."""
    return _sum(session, Account.RECEIVABLE, customer_id)


def held_by_driver(session: Session, *, driver_id: int) -> int:
    """Return how much cash a driver should have, whole TWD."""
    return sums.totals(session, driver_id=driver_id).get((Account.DRIVER_CASH, driver_id), 0)


def held_deposit(session: Session, *, customer_id: int) -> int:
    """Return what is held for a customer's cylinders, whole TWD."""
    return -_sum(session, Account.DEPOSITS, customer_id)


def who_was_charged(session: Session, *, amount_twd: int, since: date, count: int) -> Sequence[int]:
    """Return at most `count` customers who were charged exactly so much since a day, and still owe that much."""
    newest = func.max(EntryLine.entry_id)
    statement = (
        select(EntryLine.customer_id)
        .join(Entry)
        .where(EntryLine.account == Account.RECEIVABLE, EntryLine.amount_twd == amount_twd, Entry.day >= since)
        .group_by(EntryLine.customer_id)
        .order_by(newest.desc())
        .limit(count)
    )
    found = session.scalars(statement).all()
    return [customer_id for customer_id in found if owed(session, customer_id=customer_id) >= amount_twd]


def charges(  # noqa: PLR0913 - each said by name
    session: Session,
    *,
    customer_id: int,
    besides: Select[tuple[int]],
    period: tuple[date, date] | None = None,
    order_id: int | None = None,
    after: int = 0,
) -> dict[int, int]:
    """Return what each entry about an order of a customer adds to their debt, by its id, the oldest first.

    `besides` selects ids that are left out; `period` is a first and a last day, `after` the entry before the first.
    """
    statement = (
        select(Entry.id, func.sum(EntryLine.amount_twd))
        .join(EntryLine)
        .where(
            EntryLine.customer_id == customer_id,
            EntryLine.account == Account.RECEIVABLE,
            Entry.order_id.is_not(None) if order_id is None else Entry.order_id == order_id,
            Entry.id.not_in(besides),
            EntryLine.entry_id > after,
        )
    )
    if period is not None:
        statement = statement.where(Entry.day.between(*period))
    rows = session.execute(statement.group_by(Entry.id).order_by(Entry.id))
    return {entry_id: int(amount) for entry_id, amount in rows}


def balances(session: Session) -> dict[Account, int]:
    """Add up every account."""
    found = sums.totals(session).items()
    return {account: sum(twd for (of, _), twd in found if of == account) for account in Account}


def _opposite(entry: Entry) -> list[Line]:
    return [
        Line(
            account=Account(line.account),
            amount_twd=-line.amount_twd,
            customer_id=line.customer_id,
            driver_id=line.driver_id,
        )
        for line in entry.lines
    ]


def _sum(session: Session, account: Account, customer_id: int) -> int:
    total = func.coalesce(func.sum(EntryLine.amount_twd), 0)
    statement = select(total).where(EntryLine.account == account, EntryLine.customer_id == customer_id)
    return int(session.scalars(statement).one())
