"""The books as they are stored: entries that are only ever added, each of whose lines come to zero."""

from datetime import date
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id


class Account(StrEnum):
    """What an amount is booked on. What comes to a customer's debt or to our hands is positive."""

    RECEIVABLE = "receivable"
    DEPOSITS = "deposits"
    SALES = "sales"
    DRIVER_CASH = "driver_cash"
    TILL = "till"
    BANK = "bank"
    CASH_DIFFERENCE = "cash_difference"
    UNASSIGNED = "unassigned"


class EntryKind(StrEnum):
    """Why something was booked."""

    SALE = "sale"
    RETURN = "return"
    PAYMENT = "payment"
    DEPOSIT = "deposit"
    HAND_IN = "hand_in"
    REVERSAL = "reversal"
    SETTLEMENT = "settlement"
    ASSIGNMENT = "assignment"


def _one_of(words: type[StrEnum]) -> str:
    return ", ".join(f"'{word}'" for word in words)


class Entry(Base):
    """One booking. A mistake is not changed but met by a second entry."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_one_of(EntryKind)})", "kind"),
        Index(None, "day", "id"),
        Index(None, "kind", "id"),
        Index(None, "order_id"),
    )

    id: Mapped[Id]
    day: Mapped[date]
    kind: Mapped[str]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    driver_id: Mapped[int | None] = mapped_column(ForeignKey("drivers.id"))
    reference: Mapped[str | None] = mapped_column(unique=True)
    """What was booked, where it must not be booked twice: `sale-17`."""
    note: Mapped[str | None]
    by: Mapped[str]
    at: Mapped[CreatedAt]
    lines: Mapped[list["EntryLine"]] = relationship(
        order_by="EntryLine.position", lazy="selectin", viewonly=True, sync_backref=False
    )


class EntryLine(Base):
    """An amount on an account. The database refuses lines that do not come to zero by entry."""

    __tablename__ = "ledger_lines"
    __table_args__ = (
        CheckConstraint(f"account IN ({_one_of(Account)})", "account"),
        CheckConstraint("amount_twd <> 0", "amount_twd"),
        CheckConstraint("(account IN ('receivable', 'deposits')) = (customer_id IS NOT NULL)", "customer_id"),
        CheckConstraint("(account = 'driver_cash') = (driver_id IS NOT NULL)", "driver_id"),
        Index(None, "customer_id", "account", "entry_id"),
        Index(None, "driver_id", "entry_id"),
        Index(
            "ledger_lines_owed_amount_idx", "amount_twd", "entry_id", postgresql_where=text("account = 'receivable'")
        ),
    )

    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    account: Mapped[str]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    driver_id: Mapped[int | None] = mapped_column(ForeignKey("drivers.id"))
    amount_twd: Mapped[int] = mapped_column(BigInteger)


class Carried(Base):
    """What an account, or a driver's cash, came to with an entry and all before it. The next row of it comes later."""

    __tablename__ = "ledger_carried"
    __unlogged__: ClassVar = "sums of what is logged"
    __table_args__ = (Index(None, "up_to", "account", "driver_id", unique=True, postgresql_nulls_not_distinct=True),)

    id: Mapped[Id]
    up_to: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))
    account: Mapped[str]
    driver_id: Mapped[int | None] = mapped_column(ForeignKey("drivers.id"))
    amount_twd: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[CreatedAt]


class Closing(Base):
    """A day that nothing is booked on any more, nor on any before it, with what was found when it was closed."""

    __tablename__ = "closings"

    id: Mapped[Id]
    day: Mapped[date] = mapped_column(unique=True)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    by: Mapped[str]
    at: Mapped[CreatedAt]
