"""The API keys of machines."""

from datetime import datetime
from typing import Literal

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Instant


class ApiKey(Base):
    """A key as we know it: enough to recognise its secret, not enough to repeat it."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("role IN ('admin', 'dispatcher', 'driver', 'customer', 'service')", "role"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    secret_mac: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None]
    last_used_at: Mapped[Instant | None]

    def state(self, *, now: datetime) -> Literal["usable", "expired", "revoked"]:
        """Return what the key is good for at the moment `now`."""
        if self.revoked_at is not None:
            return "revoked"
        return "usable" if now < self.expires_at else "expired"
