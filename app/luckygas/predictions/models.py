"""Predictions and suggestions as they are stored."""

from datetime import date
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import ARRAY, CheckConstraint, Float, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.db.base import Base, CreatedAt, Id, Instant
from luckygas.taiwan import CYLINDER_SIZES_KG


class KindDemand(Base):
    """What was learned about customers of a kind: their season, and how long a usual order lasts."""

    __tablename__ = "kind_demands"
    __unlogged__: ClassVar = "it is computed from orders"

    kind: Mapped[str] = mapped_column(primary_key=True)
    factors: Mapped[list[float]] = mapped_column(ARRAY(Float))
    usual_days: Mapped[float]
    intervals: Mapped[int]
    learned_on: Mapped[date]


class Prediction(Base):
    """When a customer orders after `order_id`. It stands as it was made until they do, so that its error is honest."""

    __tablename__ = "predictions"
    __unlogged__: ClassVar = "it is computed from orders"
    __table_args__ = (Index(None, "due_on", "customer_id"),)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), primary_key=True, autoincrement=False)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    ordered_on: Mapped[date]
    due_on: Mapped[date]
    by_last_interval: Mapped[date | None]
    by_mean_interval: Mapped[date | None]
    intervals: Mapped[int] = mapped_column(SmallInteger)
    made_on: Mapped[date]

    def is_due(self, day: date) -> bool:
        """Tell whether the customer may want gas by `day`: not before it is due, nor when they seem to have left."""
        return self.due_on <= day <= self.due_on + (self.due_on - self.ordered_on)


class PredictionError(Base):
    """What was predicted for an order, and by the naive ways, against the day on which it was placed."""

    __tablename__ = "prediction_errors"
    __unlogged__: ClassVar = "it is computed from orders"
    __table_args__ = (Index(None, "ordered_on"),)

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True, autoincrement=False)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    kind: Mapped[str]
    ordered_on: Mapped[date]
    due_on: Mapped[date]
    by_last_interval: Mapped[date | None]
    by_mean_interval: Mapped[date | None]


class SuggestionStatus(StrEnum):
    """What became of a suggestion."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    ORDERED = "ordered"


class Suggestion(Base):
    """An order that a customer may want on a day; `after_order_id` is their newest so far."""

    __tablename__ = "suggestions"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'accepted', 'dismissed', 'ordered')", "status"),
        CheckConstraint("(status = 'accepted') = (order_id IS NOT NULL)", "order_id"),
        # One at a time for each customer, and an order comes from one suggestion.
        Index("suggestions_open_customer_id_idx", "customer_id", unique=True, postgresql_where=text("status = 'open'")),
        Index(None, "order_id", unique=True),
        Index(None, "customer_id", "id"),
        Index(None, "status", "id"),
        Index(None, "for_day", "id"),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    after_order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    for_day: Mapped[date]
    due_on: Mapped[date]
    status: Mapped[str] = mapped_column(default=SuggestionStatus.OPEN)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    reason: Mapped[str | None]
    again_on: Mapped[date | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]
    lines: Mapped[list["SuggestionLine"]] = relationship(
        order_by="SuggestionLine.cylinder_kg", lazy="selectin", cascade="all, delete-orphan"
    )


class SuggestionLine(Base):
    """Some cylinders of one size."""

    __tablename__ = "suggestion_lines"
    __unlogged__: ClassVar = "it is made with its suggestion and never changes"
    __table_args__ = (
        CheckConstraint(f"cylinder_kg IN {CYLINDER_SIZES_KG}", "cylinder_kg"),
        CheckConstraint("quantity > 0", "quantity"),
    )

    suggestion_id: Mapped[int] = mapped_column(ForeignKey("suggestions.id"), primary_key=True)
    cylinder_kg: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    quantity: Mapped[int]
