"""Customers as they are stored."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, Unmapped, mapped_column, relationship, unmapped_column

from luckygas.db.base import Base, CreatedAt, Id
from luckygas.taiwan import CYLINDER_SIZES_KG


class CustomerKind(StrEnum):
    """What a customer burns gas for, which is how their consumption is understood."""

    HOUSEHOLD = "household"
    SHOP = "shop"
    RESTAURANT = "restaurant"


class Customer(Base):
    """A household or business. Families share a number and chains a tax number, so neither is unique.

    `address_key` is the address as it is searched; the database keeps it, and nothing but the search looks at it.
    """

    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint("kind IN ('household', 'shop', 'restaurant')", "kind"),
        CheckConstraint("mobile ~ '^09[0-9]{8}$'", "mobile"),
        CheckConstraint("landline ~ '^0[2-8][0-9]{7,8}$'", "landline"),
        CheckConstraint("tax_number ~ '^[0-9]{8}$'", "tax_number"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    name: Mapped[str]
    mobile: Mapped[str] = mapped_column(index=True)
    landline: Mapped[str | None]
    tax_number: Mapped[str | None]
    address: Mapped[str]
    address_key: Unmapped[str | None] = unmapped_column(Text, Computed("address_key(address)", persisted=True))
    note: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    created_at: Mapped[CreatedAt]
    further_addresses: Mapped[list["CustomerAddress"]] = relationship(
        order_by="CustomerAddress.position", lazy="selectin", cascade="all, delete-orphan"
    )
    usual_cylinders: Mapped[list["UsualCylinders"]] = relationship(
        order_by="UsualCylinders.cylinder_kg", lazy="selectin", cascade="all, delete-orphan"
    )


class CustomerAddress(Base):
    """Another place that a customer has gas brought to, such as a second kitchen."""

    __tablename__ = "customer_addresses"

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    label: Mapped[str]
    address: Mapped[str]
    address_key: Unmapped[str | None] = unmapped_column(Text, Computed("address_key(address)", persisted=True))


class UsualCylinders(Base):
    """What a customer takes when they say "as always"."""

    __tablename__ = "customer_usual_cylinders"
    __table_args__ = (
        CheckConstraint(f"cylinder_kg IN {CYLINDER_SIZES_KG}", "cylinder_kg"),
        CheckConstraint("quantity > 0", "quantity"),
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    cylinder_kg: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    quantity: Mapped[int]


class Deposit(Base):
    """Money paid in for cylinders on loan, or, negative, given back. What is held is the sum; no entry ever changes."""

    __tablename__ = "customer_deposits"
    __table_args__ = (
        CheckConstraint("amount_twd <> 0", "amount_twd"),
        Index(None, "customer_id", "id"),
        Index(None, "created_at"),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    amount_twd: Mapped[int]
    note: Mapped[str | None]
    by: Mapped[str]
    created_at: Mapped[CreatedAt]


# A number is remembered by its end, and an address by some characters out of its middle; pg_trgm is of no use for two
# Chinese characters, so addresses have an index of the pairs of neighbours in them.
Index("customers_mobile_reversed_idx", func.reverse(Customer.mobile), postgresql_ops={"reverse": "text_pattern_ops"})
Index(
    "customers_landline_reversed_idx", func.reverse(Customer.landline), postgresql_ops={"reverse": "text_pattern_ops"}
)
Index(
    "customers_address_pairs_idx",
    func.address_pairs(Customer.address),
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
)
Index(
    "customer_addresses_address_pairs_idx",
    func.address_pairs(CustomerAddress.address),
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
)
