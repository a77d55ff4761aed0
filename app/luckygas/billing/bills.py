"""What can be done with bills. A bill asks for entries of the books; whether it is paid, the books say, too."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from luckygas.billing.models import Bill, BillItem, CustomerAccount
from luckygas.billing.schemas import BillQuery
from luckygas.customers import service as customers
from luckygas.errors import NotFound
from luckygas.jobs.queue import enqueue
from luckygas.ledger import service as ledger

DAYS_TO_PAY: Final = 15
DAYS_TO_CARE: Final = 60


def of_month(session: Session, *, customer_id: int, until: date, today: date) -> Bill | None:
    """Make the bill of a monthly account up to a day: all its deliveries that are on none yet.

    Returns None when there is nothing to pay; what was taken back is then set against later deliveries.
    """
    customers.lock(session, customer_id=customer_id)
    account = session.get(CustomerAccount, customer_id)
    if account is None or account.monthly_since is None:
        return None
    period = (account.monthly_since, until)
    items = ledger.charges(session, customer_id=customer_id, besides=_billed(customer_id), period=period)
    return _make(session, customer_id=customer_id, items=items, until=until, today=today)


def of_order(session: Session, *, customer_id: int, order_id: int, today: date) -> Bill | None:
    """Make a bill of what is left to pay of one order; None if that is nothing."""
    items = ledger.charges(session, customer_id=customer_id, besides=_billed(customer_id), order_id=order_id)
    return _make(session, customer_id=customer_id, items=items, until=today, today=today)


def enqueue_months(session: Session, *, today: date) -> None:
    """Have the bills of the month before made, for every monthly account that may lack one."""
    until = today.replace(day=1) - timedelta(days=1)
    statement = select(CustomerAccount.customer_id).where(CustomerAccount.monthly_since <= until)
    for customer_id in session.scalars(statement.order_by(CustomerAccount.customer_id)):
        enqueue(session, "billing.month", customer_id=customer_id, until=until.isoformat())


def get(session: Session, *, bill_id: int) -> Bill:
    """Return one bill, or raise `NotFound`."""
    row = session.get(Bill, bill_id)
    if row is None:
        raise NotFound(f"there is no bill {bill_id}")
    return row


def find(session: Session, *, query: BillQuery, before_id: int, count: int) -> Sequence[Bill]:
    """Return at most `count` bills with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Bill).where(Bill.id < before_id).order_by(Bill.id.desc()).limit(count)
    if query.customer_id is not None:
        statement = statement.where(Bill.customer_id == query.customer_id)
    return session.scalars(statement).all()


def open_twd(session: Session, *, bill: Bill) -> int:
    """Return what is not paid yet of a bill, if the oldest debt is paid first.

    The bills of a customer never ask together for more than is owed. What was taken back is set against later
    deliveries that are on no bill yet, so one that it paid may stand for those again.
    """
    customer_id = bill.customer_id
    owed = ledger.owed(session, customer_id=customer_id)
    newer = select(func.sum(Bill.amount_twd)).where(Bill.customer_id == customer_id, Bill.id > bill.id)
    newest = max(item.entry_id for item in bill.items)
    unbilled = ledger.charges(session, customer_id=customer_id, besides=_billed(customer_id), after=newest)
    later = int(session.scalar(newer) or 0) + max(0, sum(unbilled.values()))
    return max(0, min(bill.amount_twd, owed - later))


def enqueue_accounts(session: Session, *, today: date) -> None:
    """Have an account opened for bills that have none: they were paid, and are not any more, or there was no bank."""
    statement = select(Bill).where(Bill.pay_into.is_(None), Bill.due_on >= today - timedelta(days=DAYS_TO_CARE))
    for bill in session.scalars(statement.order_by(Bill.id)):
        if open_twd(session, bill=bill):
            enqueue(session, "billing.pay_into", bill_id=bill.id)


def note_pay_into(session: Session, *, bill_id: int, number: str) -> None:
    """Note the bank account that was opened for a bill."""
    get(session, bill_id=bill_id).pay_into = number
    session.flush()


def _make(session: Session, *, customer_id: int, items: Mapping[int, int], until: date, today: date) -> Bill | None:
    if sum(items.values()) <= 0:
        return None
    row = Bill(
        customer_id=customer_id,
        until=until,
        due_on=today + timedelta(days=DAYS_TO_PAY),
        amount_twd=sum(items.values()),
        items=[BillItem(entry_id=entry_id, amount_twd=amount) for entry_id, amount in items.items()],
    )
    session.add(row)
    session.flush()
    enqueue(session, "billing.pay_into", bill_id=row.id)
    return row


def _billed(customer_id: int) -> Select[tuple[int]]:
    return select(BillItem.entry_id).join(Bill).where(Bill.customer_id == customer_id)
