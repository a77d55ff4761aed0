"""Drivers as they are stored."""

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Id


class Driver(Base):
    """A driver with their truck. Who has left stays, since routes and cylinders remember them."""

    __tablename__ = "drivers"
    __table_args__ = (
        CheckConstraint("mobile ~ '^09[0-9]{8}$'", "mobile"),
        CheckConstraint("capacity_kg > 0", "capacity_kg"),
    )

    id: Mapped[Id]
    name: Mapped[str]
    mobile: Mapped[str]
    plate: Mapped[str]
    capacity_kg: Mapped[int]
    principal: Mapped[str | None] = mapped_column(unique=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[CreatedAt]
