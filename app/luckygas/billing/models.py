"""Accounts of customers and their bills, as they are stored. What anybody owes stands in the books alone."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id


class CustomerAccount(Base):
    """What was agreed with a customer about paying. Most have no row: they pay at the door."""

    __tablename__ = "customer_accounts"
    __table_args__ = (
        Index("customer_accounts_monthly_idx", "customer_id", postgresql_where=text("monthly_since IS NOT NULL")),
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True, autoincrement=False)
    monthly_since: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)


class Bill(Base):
    """What a customer is asked to pay for deliveries up to a day, and the bank account that is theirs for it."""

    __tablename__ = "bills"
    __table_args__ = (
        CheckConstraint("amount_twd > 0", "amount_twd"),
        Index(None, "customer_id", "id"),
        Index(None, "pay_into", unique=True),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    until: Mapped[date]
    due_on: Mapped[date]
    amount_twd: Mapped[int] = mapped_column(BigInteger)
    pay_into: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    items: Mapped[list["BillItem"]] = relationship(order_by="BillItem.entry_id", lazy="selectin")


class BillItem(Base):
    """An entry of the books that a bill asks for; none is asked for twice."""

    __tablename__ = "bill_items"
    __table_args__ = (Index(None, "bill_id"),)

    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False)
    bill_id: Mapped[int] = mapped_column(ForeignKey("bills.id"))
    amount_twd: Mapped[int] = mapped_column(BigInteger)
