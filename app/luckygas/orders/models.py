"""Orders as they are stored."""

from datetime import date
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id
from luckygas.taiwan import CYLINDER_SIZES_KG


class OrderStatus(StrEnum):
    """How far an order is."""

    PLACED = "placed"


class Order(Base):
    """An order with what it said when it was placed: later changes of the customer leave it as it is."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("status IN ('placed')", "status"),
        # A page of a customer's orders, or of one status, is read from its index in the order of the list.
        Index(None, "customer_id", "id"),
        Index(None, "status", "id"),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    status: Mapped[str] = mapped_column(default=OrderStatus.PLACED)
    delivery_address: Mapped[str]
    note: Mapped[str | None]
    wanted_on: Mapped[date | None]
    placed_at: Mapped[CreatedAt]
    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.position", lazy="selectin")

    @property
    def total_twd(self) -> int:
        """The sum of all lines, in whole TWD."""
        return sum(line.quantity * line.unit_price_twd for line in self.lines)


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
