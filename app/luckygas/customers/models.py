"""Customers as they are stored."""

from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Id


class CustomerKind(StrEnum):
    """What a customer burns gas for, which is how their consumption is understood."""

    HOUSEHOLD = "household"
    SHOP = "shop"
    RESTAURANT = "restaurant"


class Customer(Base):
    """A household or business. Families share a number and chains a tax number, so neither is unique."""

    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint("kind IN ('household', 'shop', 'restaurant')", "kind"),
        CheckConstraint("mobile ~ '^09[0-9]{8}$'", "mobile"),
        CheckConstraint("tax_number ~ '^[0-9]{8}$'", "tax_number"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    name: Mapped[str]
    mobile: Mapped[str] = mapped_column(index=True)
    tax_number: Mapped[str | None]
    address: Mapped[str]
    note: Mapped[str | None]
    created_at: Mapped[CreatedAt]
