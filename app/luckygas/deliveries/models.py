"""Routes as they are stored."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id, Instant


class RouteStatus(StrEnum):
    """How far a route is."""

    PLANNED = "planned"
    OUT = "out"
    DONE = "done"


class Outcome(StrEnum):
    """What became of a stop."""

    OPEN = "open"
    DELIVERED = "delivered"
    FAILED = "failed"


class Route(Base):
    """What a driver brings on a day."""

    __tablename__ = "routes"
    __table_args__ = (
        CheckConstraint("status IN ('planned', 'out', 'done')", "status"),
        CheckConstraint("sequenced_by IN ('plain', 'google')", "sequenced_by"),
        Index(None, "driver_id", "day", unique=True, postgresql_where=text("status <> 'done'")),
        Index(None, "day", "id"),
    )

    id: Mapped[Id]
    driver_id: Mapped[int] = mapped_column(ForeignKey("drivers.id"))
    day: Mapped[date]
    status: Mapped[str] = mapped_column(default=RouteStatus.PLANNED)
    sequenced_by: Mapped[str] = mapped_column(default="plain")
    created_at: Mapped[CreatedAt]
    stops: Mapped[list["Stop"]] = relationship(order_by="Stop.position", lazy="selectin")


class Stop(Base):
    """One order on a route. An order that found nobody at home may be on a later route again."""

    __tablename__ = "stops"
    __table_args__ = (
        CheckConstraint("outcome IN ('open', 'delivered', 'failed')", "outcome"),
        CheckConstraint("(outcome = 'delivered') = (received_by IS NOT NULL)", "received_by"),
        Index(None, "order_id", unique=True, postgresql_where=text("outcome <> 'failed'")),
    )

    route_id: Mapped[int] = mapped_column(ForeignKey("routes.id"), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    outcome: Mapped[str] = mapped_column(default=Outcome.OPEN)
    received_by: Mapped[str | None]
    note: Mapped[str | None]
    settled_at: Mapped[Instant | None]

    def settle(
        self, outcome: Outcome, *, at: datetime, received_by: str | None = None, note: str | None = None
    ) -> None:
        """Note what became of this stop."""
        self.outcome, self.received_by, self.note, self.settled_at = outcome, received_by, note, at
