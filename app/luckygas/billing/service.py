"""What can be done with money. Whoever moves a customer's holds the customer, so that nobody pays a debt twice."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from luckygas.billing import bank, bills, invoices
from luckygas.billing.models import CustomerAccount
from luckygas.billing.schemas import AccountIn, HandInIn, Method, PaymentIn
from luckygas.customers import service as customers
from luckygas.drivers import service as drivers
from luckygas.errors import EditedMeanwhile, FieldError, Invalid, WrongState, in_field
from luckygas.ledger import service as ledger

MOST_COUNTED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a customer stands: what was agreed, what they owe and what is held for them, in whole TWD."""

    customer_id: int
    monthly_since: date | None
    owed_twd: int
    deposit_twd: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDoor:
    """What a driver and a customer settled when an order was delivered, in whole TWD."""

    customer_id: int
    order_id: int
    driver_id: int
    total_twd: int
    cash_twd: int
    deposit_twd: int
    by_transfer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A payment that is booked, and what the customer owes after it, in whole TWD."""

    entry_id: int
    customer_id: int
    amount_twd: int
    owed_twd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandIn:
    """What was counted of a driver's cash, and what the books expected, in whole TWD."""

    entry_id: int
    driver_id: int
    expected_twd: int
    counted_twd: int

    @property
    def difference_twd(self) -> int:
        """What is too much; negative is missing."""
        return self.counted_twd - self.expected_twd


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the accounts come to in whole TWD, and what is still to be done about money."""

    balances: Mapping[str, int]
    invoices: int
    invoices_since: datetime | None
    unassigned: int
    open_since: date | None
    """The first day that should be closed, None where nobody ever closed one."""


def backlog(session: Session) -> Backlog:
    """Return how the money stands; what waits is counted up to a bound, so that this costs the same on every day."""
    wanted, since = invoices.waiting(session, at_most=MOST_COUNTED)
    return Backlog(
        balances=ledger.balances(session),
        invoices=wanted,
        invoices_since=since,
        unassigned=bank.unassigned(session, at_most=MOST_COUNTED),
        open_since=ledger.days.open_since(session),
    )


def standing(session: Session, *, customer_id: int) -> Standing:
    """Return how a customer stands, or raise `NotFound`."""
    customers.get(session, customer_id=customer_id)
    account = session.get(CustomerAccount, customer_id)
    return Standing(
        customer_id=customer_id,
        monthly_since=account.monthly_since if account else None,
        version=account.version if account else 0,
        owed_twd=ledger.owed(session, customer_id=customer_id),
        deposit_twd=ledger.held_deposit(session, customer_id=customer_id),
    )


def agree(session: Session, *, customer_id: int, terms: AccountIn, seen: Collection[int], today: date) -> Standing:
    """Begin or end a monthly account from today on, unless somebody else changed what was agreed.

    One that ends has its last bill made, since nobody looks for its deliveries any more.
    """
    customers.lock(session, customer_id=customer_id)
    row = session.get(CustomerAccount, customer_id, populate_existing=True)
    EditedMeanwhile.check(f"the account of customer {customer_id}", seen=seen, found=row.version if row else 0)
    if row is None:
        row = CustomerAccount(customer_id=customer_id, version=0)
        session.add(row)
    if row.monthly_since and not terms.is_monthly:
        # After the close of today, deliveries are booked on the next day.
        until = ledger.days.open_day(session, wanted=today)
        bills.of_month(session, customer_id=customer_id, until=until, today=today)
    row.version += 1
    row.monthly_since = (row.monthly_since or today) if terms.is_monthly else None
    session.flush()
    return standing(session, customer_id=customer_id)


def pay(session: Session, *, payment: PaymentIn, by: str, today: date) -> Paid:
    """Book what a customer paid, at most what is owed; or, negative, what of a credit they got back."""
    if payment.amount_twd == 0:
        raise Invalid.because(
            FieldError("amount_twd", "0 pays nothing: give what was paid, or negative what went back")
        )
    with in_field("customer_id"):
        customers.lock(session, customer_id=payment.customer_id)
    if payment.driver_id is not None:
        if payment.method != Method.CASH:
            raise Invalid.because(FieldError("driver_id", "a transfer is in nobody's hands: leave it out"))
        with in_field("driver_id"):
            drivers.get(session, driver_id=payment.driver_id)
    _check_amount(session, customer_id=payment.customer_id, amount_twd=payment.amount_twd)
    bank = ledger.Line(account=ledger.Account.BANK, amount_twd=payment.amount_twd)
    cash = ledger.Line.cash(payment.amount_twd, driver_id=payment.driver_id)
    booking = ledger.Booking(
        kind=ledger.EntryKind.PAYMENT,
        day=today,
        by=by,
        driver_id=payment.driver_id,
        note=payment.note,
        lines=[
            bank if payment.method == Method.TRANSFER else cash,
            ledger.Line.debt(-payment.amount_twd, customer_id=payment.customer_id),
        ],
    )
    entry = ledger.post(session, booking=booking)
    return Paid(
        entry_id=entry.id,
        customer_id=payment.customer_id,
        amount_twd=payment.amount_twd,
        owed_twd=ledger.owed(session, customer_id=payment.customer_id),
    )


def settle_at_door(session: Session, *, money: AtDoor, by: str, today: date) -> None:
    """Book what a delivered order owes and what the driver took; make a bill if the rest is to be transferred."""
    customers.lock(session, customer_id=money.customer_id)
    sale = ledger.Sale(
        order_id=money.order_id,
        customer_id=money.customer_id,
        total_twd=money.total_twd,
        driver_id=money.driver_id,
    )
    ledger.sell(session, sale=sale, day=today, by=by)
    invoices.want(session, sale=sale)
    if money.cash_twd:
        _check_amount(session, customer_id=money.customer_id, amount_twd=money.cash_twd, field="cash_twd")
        for_order = min(money.cash_twd, money.total_twd)
        # What pays older debts is about no order: a bill would set it against deliveries that it is yet to ask for.
        for order_id, amount_twd in ((money.order_id, for_order), (None, money.cash_twd - for_order)):
            if amount_twd:
                booking = ledger.Booking(
                    kind=ledger.EntryKind.PAYMENT,
                    day=today,
                    by=by,
                    order_id=order_id,
                    driver_id=money.driver_id,
                    lines=[
                        ledger.Line.cash(amount_twd, driver_id=money.driver_id),
                        ledger.Line.debt(-amount_twd, customer_id=money.customer_id),
                    ],
                )
                ledger.post(session, booking=booking)
    if money.deposit_twd:
        deposit = customers.DepositIn(amount_twd=money.deposit_twd, driver_id=money.driver_id)
        customers.move_deposit(session, customer_id=money.customer_id, deposit=deposit, by=by, today=today)
    if money.by_transfer:
        bills.of_order(session, customer_id=money.customer_id, order_id=money.order_id, today=today)


def hand_in(session: Session, *, counted: HandInIn, by: str, today: date) -> HandIn:
    """Move a driver's cash into the till, as it was counted; what is missing or too much is booked by its name."""
    with in_field("driver_id"):
        drivers.lock(session, driver_id=counted.driver_id)
    expected = ledger.held_by_driver(session, driver_id=counted.driver_id)
    booking = ledger.Booking(
        kind=ledger.EntryKind.HAND_IN,
        day=today,
        by=by,
        driver_id=counted.driver_id,
        note=counted.note,
        lines=[
            ledger.Line.cash(counted.counted_twd, driver_id=None),
            ledger.Line.cash(-expected, driver_id=counted.driver_id),
            ledger.Line(account=ledger.Account.CASH_DIFFERENCE, amount_twd=expected - counted.counted_twd),
        ],
    )
    entry = ledger.post(session, booking=booking)
    return HandIn(
        entry_id=entry.id,
        driver_id=counted.driver_id,
        expected_twd=expected,
        counted_twd=counted.counted_twd,
    )


def _check_amount(session: Session, *, customer_id: int, amount_twd: int, field: str = "amount_twd") -> None:
    """Let nobody pay more than is owed, or give back more than was paid too much."""
    owed = ledger.owed(session, customer_id=customer_id)
    if amount_twd > max(owed, 0) or amount_twd < min(owed, 0):
        stands = f"owes {owed} TWD" if owed >= 0 else f"has {-owed} TWD to their credit"
        raise WrongState(f"customer {customer_id} {stands}, so {field} cannot be {amount_twd}")
