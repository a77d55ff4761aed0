"""The jobs of bills."""

from datetime import date

from sqlalchemy.orm import Session

from luckygas.billing import bills
from luckygas.jobs.queue import job
from luckygas.resources import Resources


@job("billing.months", cron="10 18 * * *")  # 02:10 in Taipei
def months(session: Session, held: Resources) -> None:
    """Have the bills of last month made; looked at every day, so that a night that was missed costs a day."""
    bills.enqueue_months(session, today=held.today())


@job("billing.month")
def month(session: Session, held: Resources, *, customer_id: int, until: str) -> None:
    """Make the bill of one monthly account."""
    bills.of_month(session, customer_id=customer_id, until=date.fromisoformat(until), today=held.today())


@job("billing.pay_into")
def pay_into(session: Session, held: Resources, *, bill_id: int) -> None:
    """Have the bank open the account of a bill; without a bank the bill stays without one."""
    if not held.clients.banking.is_configured:
        return
    bill = bills.get(session, bill_id=bill_id)
    number = held.clients.banking.open_account(reference=f"bill-{bill.id}", amount_twd=bill.amount_twd)
    bills.note_pay_into(session, bill_id=bill.id, number=number)
