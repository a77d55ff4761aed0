"""Accounts of customers and their bills, as they are stored. What anybody owes stands in the books alone."""

from datetime import date
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id, Instant


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
        Index(None, "amount_twd", "id"),
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


class InvoiceStatus(StrEnum):
    """How far an e-invoice is."""

    WANTED = "wanted"
    ISSUED = "issued"
    VOID = "void"


class Invoice(Base):
    """The e-invoice (電子發票) of a delivered order: wanted in the transaction of the delivery, issued by a job."""

    __tablename__ = "invoices"
    __table_args__ = (
        CheckConstraint("status IN ('wanted', 'issued', 'void')", "status"),
        CheckConstraint("amount_twd > 0", "amount_twd"),
        CheckConstraint("(status = 'wanted') = (number IS NULL)", "number"),
        Index(None, "status", "id"),
        Index(None, "customer_id", "id"),
    )

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    buyer: Mapped[str | None]
    """The tax number of a business."""
    amount_twd: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default=InvoiceStatus.WANTED)
    number: Mapped[str | None] = mapped_column(unique=True)
    random_code: Mapped[str | None]
    issued_at: Mapped[Instant | None]
    voided_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]


class BankPayment(Base):
    """Money that the bank says came in, and whose it is, once that is known."""

    __tablename__ = "bank_payments"
    __table_args__ = (
        CheckConstraint("amount_twd > 0", "amount_twd"),
        CheckConstraint("(customer_id IS NULL) = (assigned_by IS NULL)", "assigned_by"),
        Index("bank_payments_unassigned_idx", "id", postgresql_where=text("customer_id IS NULL")),
    )

    id: Mapped[Id]
    bank_id: Mapped[str] = mapped_column(unique=True)
    account: Mapped[str]
    amount_twd: Mapped[int] = mapped_column(BigInteger)
    paid_at: Mapped[Instant]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    assigned_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class BankDay(Base):
    """A day whose statement was read, and when last."""

    __tablename__ = "bank_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    read_at: Mapped[Instant]
