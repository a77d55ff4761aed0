"""People and their sessions, and the API keys of machines."""

from datetime import date, datetime
from typing import ClassVar, Final, Literal

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from luckygas.access import Tier
from luckygas.db.base import SECRET, Base, CreatedAt, Id, Instant

LIFETIME_DAYS: Final = 90
"""For how long a key is good where nobody says otherwise."""


class Person(Base):
    """Somebody who logs in. People are disabled, never removed: what they did keeps their name."""

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint("role IN ('admin', 'dispatcher', 'driver')", "role"),
        CheckConstraint("login ~ '^[a-z0-9][a-z0-9._-]{1,39}$'", "login"),
    )

    id: Mapped[Id]
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str] = mapped_column(info=SECRET)
    must_change_password: Mapped[bool]
    totp_secret: Mapped[str | None] = mapped_column(info=SECRET)
    totp_confirmed_at: Mapped[Instant | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    disabled_at: Mapped[Instant | None]
    created_at: Mapped[CreatedAt]

    @property
    def has_totp(self) -> bool:
        """Whether a code is asked for besides the password."""
        return self.totp_confirmed_at is not None


class WebSession(Base):
    """One browser in which somebody is logged in; `id` is a digest of the token that only the browser has."""

    __tablename__ = "sessions"
    __unlogged__: ClassVar = "log-ins and what ends them are logged by name"

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    agent: Mapped[str | None]
    address: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    seen_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)


class LoginAttempts(Base):
    """How often in a row somebody failed to log in under a name, whether or not anybody has that name."""

    __tablename__ = "login_attempts"
    __unlogged__: ClassVar = "log-ins that are refused are logged by name"

    login: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    locked_until: Mapped[Instant | None]
    failed_at: Mapped[Instant] = mapped_column(index=True)


class ApiKey(Base):
    """A key as we know it: enough to recognise its secret, not enough to repeat it."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("role IN ('admin', 'dispatcher', 'driver', 'customer', 'service')", "role"),
        CheckConstraint("tier IN ('basic', 'standard', 'premium', 'enterprise')", "tier"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    name: Mapped[str]
    role: Mapped[str]
    tier: Mapped[str] = mapped_column(server_default=Tier.BASIC)
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    replaces: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"), unique=True)
    secret_mac: Mapped[bytes] = mapped_column(LargeBinary, info=SECRET)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None]
    last_used_at: Mapped[Instant | None]

    def state(self, *, now: datetime) -> Literal["usable", "expired", "revoked"]:
        """Return what the key is good for at the moment `now`."""
        if self.revoked_at is not None:
            return "revoked"
        return "usable" if now < self.expires_at else "expired"


class KeyUse(Base):
    """How many requests a key made on one day of the company's calendar."""

    __tablename__ = "api_key_uses"
    __unlogged__: ClassVar = "it only counts"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")


class KeyNetwork(Base):
    """Where a key was used from, first and last."""

    __tablename__ = "api_key_networks"
    __unlogged__: ClassVar = "it only says when it was used"
    __table_args__ = (Index(None, "first_at"),)

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    first_at: Mapped[Instant]
    last_at: Mapped[Instant]
