"""What can be done with the bank's reports. Each payment of the bank is booked once, however often it is told."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from luckygas.billing.models import BankDay, BankPayment, Bill
from luckygas.billing.schemas_partners import AssignIn, BankPaymentQuery, BankPaymentStatus
from luckygas.clients.banking import Settlement
from luckygas.customers import service as customers
from luckygas.errors import NotFound, WrongState, in_field
from luckygas.ledger import service as ledger

BY_ACCOUNT: Final = "account of the bill"
FINAL_AFTER: Final = timedelta(days=2)
"""A day's statement is read anew until it is this old: banks add to it after midnight."""
MOST_DAYS: Final = 10
_SUGGEST_FOR: Final = timedelta(days=62)
_MOST_SUGGESTED: Final = 20


def unknown(session: Session, *, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
    """Return those that are not booked yet; somebody else may book them meanwhile."""
    told = select(BankPayment.bank_id).where(BankPayment.bank_id.in_([settlement.id for settlement in settlements]))
    known = set(session.scalars(told))
    return [settlement for settlement in settlements if settlement.id not in known]


def receive(session: Session, *, settlement: Settlement, today: date) -> bool:
    """Book money that came in, on its customer if it was paid into the account of a bill; tell whether it was new."""
    row = BankPayment(
        bank_id=settlement.id,
        account=settlement.account,
        amount_twd=settlement.amount_twd,
        paid_at=settlement.paid_at,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    customer_id = session.scalar(select(Bill.customer_id).where(Bill.pay_into == settlement.account))
    if customer_id is not None:
        customers.lock(session, customer_id=customer_id)
        row.customer_id, row.assigned_by = customer_id, BY_ACCOUNT
        session.flush()
    booking = ledger.Booking(
        kind=ledger.EntryKind.SETTLEMENT,
        day=today,
        by="bank",
        reference=f"bank-{row.bank_id}",
        lines=[
            ledger.Line(account=ledger.Account.BANK, amount_twd=row.amount_twd),
            ledger.Line.debt(-row.amount_twd, customer_id=customer_id),
        ],
    )
    ledger.post(session, booking=booking)
    return True


def assign(session: Session, *, payment_id: int, wanted: AssignIn, by: str, today: date) -> BankPayment:
    """Say whose a payment is; one that was given to the wrong customer goes on to the right one."""
    row = session.get(BankPayment, payment_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no payment {payment_id} of the bank")
    if row.customer_id != wanted.instead_of:
        whose = f"customer {row.customer_id}" if row.customer_id else "nobody"
        raise WrongState(f"payment {row.id} belongs to {whose}, not as you saw it: read it again")
    with in_field("customer_id"):
        for customer_id in sorted({wanted.customer_id, row.customer_id or wanted.customer_id}):
            customers.lock(session, customer_id=customer_id)
    booking = ledger.Booking(
        kind=ledger.EntryKind.ASSIGNMENT,
        day=today,
        by=by,
        note=f"payment {row.id} of the bank",
        lines=[
            ledger.Line.debt(row.amount_twd, customer_id=row.customer_id),
            ledger.Line.debt(-row.amount_twd, customer_id=wanted.customer_id),
        ],
    )
    ledger.post(session, booking=booking)
    row.customer_id, row.assigned_by = wanted.customer_id, by
    session.flush()
    return row


def suggestions(session: Session, *, payment: BankPayment, today: date) -> Sequence[int]:
    """Return customers whose payment it may be: they were charged exactly so much lately, and still owe it."""
    if payment.customer_id is not None:
        return []
    since = today - _SUGGEST_FOR
    statement = (
        select(Bill.customer_id)
        .where(Bill.amount_twd == payment.amount_twd, Bill.until >= since)
        .order_by(Bill.id.desc())
        .limit(_MOST_SUGGESTED)
    )
    billed = [
        customer_id
        for customer_id in session.scalars(statement)
        if ledger.owed(session, customer_id=customer_id) >= payment.amount_twd
    ]
    charged = ledger.who_was_charged(session, amount_twd=payment.amount_twd, since=since, count=_MOST_SUGGESTED)
    return list(dict.fromkeys([*billed, *charged]))[:_MOST_SUGGESTED]


def unassigned(session: Session, *, at_most: int) -> int:
    """Return how many payments nobody knows the customer of, counted up to `at_most`."""
    found = select(BankPayment.id).where(BankPayment.customer_id.is_(None)).limit(at_most)
    return session.scalars(select(func.count()).select_from(found.subquery())).one()


def days_to_read(session: Session, *, today: date) -> Sequence[date]:
    """Return the days whose statements are not final yet, the oldest first; after an outage those are many."""
    last_final = session.scalar(select(func.max(BankDay.day)))
    first = today - FINAL_AFTER if last_final is None else last_final + timedelta(days=1)
    return [first + timedelta(days=offset) for offset in range((today - first).days + 1)][:MOST_DAYS]


def note_read(session: Session, *, day: date, now: datetime, today: date) -> None:
    """Remember that a day's statement was read, if nothing is added to it any more."""
    if day <= today - FINAL_AFTER:
        session.merge(BankDay(day=day, read_at=now))
        session.flush()


def get(session: Session, *, payment_id: int) -> BankPayment:
    """Return one payment of the bank, or raise `NotFound`."""
    row = session.get(BankPayment, payment_id)
    if row is None:
        raise NotFound(f"there is no payment {payment_id} of the bank")
    return row


def find(session: Session, *, query: BankPaymentQuery, before_id: int, count: int) -> Sequence[BankPayment]:
    """Return at most `count` payments with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(BankPayment).where(BankPayment.id < before_id).order_by(BankPayment.id.desc()).limit(count)
    match query.status:
        case BankPaymentStatus.ASSIGNED:
            statement = statement.where(BankPayment.customer_id.is_not(None))
        case BankPaymentStatus.UNASSIGNED:
            statement = statement.where(BankPayment.customer_id.is_(None))
    return session.scalars(statement).all()
