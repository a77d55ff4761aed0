"""Orders as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id
from luckygas.taiwan import CYLINDER_SIZES_KG


class OrderStatus(StrEnum):
    """How far an order is."""

    PLACED = "placed"
    SCHEDULED = "scheduled"
    OUT = "out"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


# Back to placed goes what was taken off a route, or found nobody at home.
NEXT: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.SCHEDULED, OrderStatus.CANCELLED}),
    OrderStatus.SCHEDULED: frozenset({OrderStatus.PLACED, OrderStatus.OUT, OrderStatus.CANCELLED}),
    OrderStatus.OUT: frozenset({OrderStatus.PLACED, OrderStatus.DELIVERED, OrderStatus.CANCELLED}),
    OrderStatus.DELIVERED: frozenset({OrderStatus.CANCELLED}),
    OrderStatus.CANCELLED: frozenset(),
}
OPEN: Final = frozenset({OrderStatus.PLACED, OrderStatus.SCHEDULED, OrderStatus.OUT})
EDITABLE: Final = frozenset({OrderStatus.PLACED, OrderStatus.SCHEDULED})


class Order(Base):
    """An order with what it said when it was placed: later changes of the customer leave it as it is."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("status IN ('placed', 'scheduled', 'out', 'delivered', 'cancelled')", "status"),
        # A page of a customer's orders, or of one status, is read from its index in the order of the list.
        Index(None, "customer_id", "id"),
        Index(None, "status", "id"),
        Index(None, "wanted_on", "id"),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    status: Mapped[str] = mapped_column(default=OrderStatus.PLACED)
    delivery_address: Mapped[str]
    note: Mapped[str | None]
    wanted_on: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    placed_at: Mapped[CreatedAt]
    lines: Mapped[list["OrderLine"]] = relationship(
        order_by="OrderLine.position", lazy="selectin", cascade="all, delete-orphan"
    )

    @property
    def total_twd(self) -> int:
        """The sum of all lines, in whole TWD."""
        return sum(line.quantity * line.unit_price_twd for line in self.lines)

    @property
    def gas_kg(self) -> int:
        """The weight of all gas that was ordered."""
        return sum(line.quantity * line.cylinder_kg for line in self.lines)


class OrderLine(Base):
    """Some cylinders of one size, at the price agreed on when the order was placed."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint(f"cylinder_kg IN {CYLINDER_SIZES_KG}", "cylinder_kg"),
        CheckConstraint("quantity > 0", "quantity"),
        CheckConstraint("unit_price_twd >= 0", "unit_price_twd"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cylinder_kg: Mapped[int] = mapped_column(SmallInteger)
    quantity: Mapped[int]
    unit_price_twd: Mapped[int]


class OrderEvent(Base):
    """What became of an order, when and by whom; no entry ever changes."""

    __tablename__ = "order_events"
    __table_args__ = (Index(None, "order_id", "id"), Index(None, "at", postgresql_where=text("status = 'delivered'")))

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    status: Mapped[str]
    version: Mapped[int]
    note: Mapped[str | None]
    by: Mapped[str]
    at: Mapped[CreatedAt]


class Price(Base):
    """What a cylinder of a size costs from a day on, until a later entry says otherwise; no entry ever changes."""

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint(f"cylinder_kg IN {CYLINDER_SIZES_KG}", "cylinder_kg"),
        CheckConstraint("unit_price_twd >= 0", "unit_price_twd"),
        Index(None, "cylinder_kg", "valid_from", "id"),
    )

    id: Mapped[Id]
    cylinder_kg: Mapped[int] = mapped_column(SmallInteger)
    unit_price_twd: Mapped[int]
    valid_from: Mapped[date]
    by: Mapped[str]
    created_at: Mapped[CreatedAt]


@dataclass(frozen=True, slots=True)
class Past:
    """An order in a customer's past: on which day it was placed, and how much gas it was about."""

    customer_id: int
    order_id: int
    day: date
    status: str
    kg: int

    @property
    def is_open(self) -> bool:
        """Whether it is still to be delivered."""
        return self.status != OrderStatus.DELIVERED
