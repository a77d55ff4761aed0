"""The jobs of bills, e-invoices and the bank."""

import logging
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy.orm import Session

from luckygas.billing import bank, bills, invoices
from luckygas.clients.http import Away
from luckygas.jobs.queue import job
from luckygas.resources import Resources

logger: Final = logging.getLogger(__name__)


@job("billing.months", cron="10 18 * * *")  # 02:10 in Taipei
def months(session: Session, held: Resources) -> None:
    """Have the bills of last month made; looked at every day, so that a night that was missed costs a day."""
    bills.enqueue_months(session, today=held.today())
    if held.clients.banking.is_configured:
        bills.enqueue_accounts(session, today=held.today())


@job("billing.month")
def month(session: Session, held: Resources, *, customer_id: int, until: str) -> None:
    """Make the bill of one monthly account."""
    bills.of_month(session, customer_id=customer_id, until=date.fromisoformat(until), today=held.today())


@job("billing.pay_into")
def pay_into(session: Session, held: Resources, *, bill_id: int) -> None:
    """Have the bank open the account of a bill for what is not paid of it; there is none without a bank, or for 0."""
    if not held.clients.banking.is_configured:
        return
    bill = bills.get(session, bill_id=bill_id)
    open_twd = bills.open_twd(session, bill=bill)
    if not open_twd or bill.pay_into:
        return
    number = held.clients.banking.open_account(reference=f"bill-{bill.id}", amount_twd=open_twd)
    bills.note_pay_into(session, bill_id=bill.id, number=number)


@job("billing.invoice")
def invoice(session: Session, held: Resources, *, order_id: int) -> None:
    """Bring the invoice of an order to where the order is; without a centre it stays wanted."""
    if held.clients.einvoice.is_configured:
        invoices.bring_about(session, order_id=order_id, centre=held.clients.einvoice, now=datetime.now(UTC))


@job("billing.invoices", cron="*/15 * * * *")
def catch_up(session: Session, held: Resources) -> None:
    """Take up the invoices that nobody was there to be asked for, once the centre is configured."""
    if held.clients.einvoice.is_configured:
        invoices.catch_up(session, now=datetime.now(UTC))


@job("billing.statements", cron="*/15 * * * *")
def statements(session: Session, held: Resources) -> None:
    """Read what came in at the bank. While it is away this waits for its next turn, which reads what was missed."""
    client, today = held.clients.banking, held.today()
    if not client.is_configured:
        return
    # All is read before any of it is booked: customers and the books are held from the first booking on.
    came = []
    try:
        for day in bank.days_to_read(session, today=today):
            settlements = client.settlements(day=day)
            # Asking the database after each day also keeps it from ending this transaction as an idle one.
            came.append((day, bank.unknown(session, settlements=settlements)))
    except Away as away:
        logger.warning("the bank's statement was not read", extra={"reason": str(away)})
    for day, settlements in came:
        for settlement in settlements:
            bank.receive(session, settlement=settlement, today=today)
        bank.note_read(session, day=day, now=datetime.now(UTC), today=today)
