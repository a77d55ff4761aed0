"""What is brought to the books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from luckygas.ledger.models import Account, EntryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An amount on an account, in whole TWD; what comes to a customer's debt or to our hands is positive."""

    account: Account
    amount_twd: int
    customer_id: int | None = None
    driver_id: int | None = None

    @classmethod
    def cash(cls, amount_twd: int, *, driver_id: int | None) -> Self:
        """Return the line for cash that comes to a driver's hands or, without one, to the till."""
        account = Account.TILL if driver_id is None else Account.DRIVER_CASH
        return cls(account=account, amount_twd=amount_twd, driver_id=driver_id)

    @classmethod
    def debt(cls, amount_twd: int, *, customer_id: int | None) -> Self:
        """Return the line for what a customer owes or, without one, for what is not known yet whose it is."""
        account = Account.UNASSIGNED if customer_id is None else Account.RECEIVABLE
        return cls(account=account, amount_twd=amount_twd, customer_id=customer_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What is to be booked, on which day of the company, by whom."""

    kind: EntryKind
    day: date
    by: str
    lines: Sequence[Line]
    order_id: int | None = None
    driver_id: int | None = None
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """An order that was delivered."""

    order_id: int
    customer_id: int
    total_twd: int
    driver_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Money for cylinders on loan, in cash; negative when it goes back."""

    deposit_id: int
    customer_id: int
    amount_twd: int
    driver_id: int | None = None
