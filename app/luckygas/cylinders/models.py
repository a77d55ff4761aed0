"""Cylinders as they are stored: each is in one place, and every move of it is kept."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Id
from luckygas.taiwan import CYLINDER_SIZES_KG


class Place(StrEnum):
    """Where a cylinder can be."""

    DEPOT = "depot"
    TRUCK = "truck"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A place, and whose it is."""

    place: Place
    driver_id: int | None = None
    customer_id: int | None = None

    def __str__(self) -> str:
        """Return it for a sentence."""
        match self.place:
            case Place.TRUCK:
                return f"on the truck of driver {self.driver_id}"
            case Place.CUSTOMER:
                return f"at customer {self.customer_id}"
            case _:
                return "in the depot"


_PLACE = (
    "(place = 'depot' AND driver_id IS NULL AND customer_id IS NULL"
    " OR place = 'truck' AND driver_id IS NOT NULL AND customer_id IS NULL"
    " OR place = 'customer' AND driver_id IS NULL AND customer_id IS NOT NULL)"
)


class Cylinder(Base):
    """A cylinder, known by the serial number on its collar."""

    __tablename__ = "cylinders"
    __table_args__ = (
        CheckConstraint(f"cylinder_kg IN {CYLINDER_SIZES_KG}", "cylinder_kg"),
        CheckConstraint(_PLACE, "place"),
        Index(None, "customer_id", "id"),
        Index(None, "driver_id", "id"),
        Index(None, "place", "id"),
        Index(None, "inspected_until"),
    )

    id: Mapped[Id]
    serial: Mapped[str] = mapped_column(unique=True)
    cylinder_kg: Mapped[int] = mapped_column(SmallInteger)
    inspected_until: Mapped[date]
    is_full: Mapped[bool]
    place: Mapped[str]
    driver_id: Mapped[int | None] = mapped_column(ForeignKey("drivers.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    created_at: Mapped[CreatedAt]

    @property
    def whereabouts(self) -> Whereabouts:
        """Where it is."""
        return Whereabouts(Place(self.place), self.driver_id, self.customer_id)


class CylinderMove(Base):
    """Where a cylinder came to, and how full, by whom and for which order; no entry ever changes."""

    __tablename__ = "cylinder_moves"
    __table_args__ = (Index(None, "cylinder_id", "id"), Index(None, "order_id"))

    id: Mapped[Id]
    cylinder_id: Mapped[int] = mapped_column(ForeignKey("cylinders.id"))
    place: Mapped[str]
    driver_id: Mapped[int | None] = mapped_column(ForeignKey("drivers.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    is_full: Mapped[bool]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    by: Mapped[str]
    at: Mapped[CreatedAt]
