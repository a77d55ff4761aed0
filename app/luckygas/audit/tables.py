"""The log and its links, as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, LargeBinary, SmallInteger, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Id, Instant

STRANDS = 8


class AuditEntry(Base):
    """One change of one thing, or one decision about somebody. No entry ever changes.

    `changes` has `[before, after]` of each column that differs; null where there was no such thing.
    """

    __tablename__ = "audit_entries"
    __unlogged__: ClassVar = "it is the log"
    __table_args__ = (
        CheckConstraint("action ~ '^[a-z_]{1,40}$'", "action"),
        Index(None, "at"),
        Index(None, "actor", "id"),
        Index(None, "action", "id"),
        Index(None, "entity", "entity_id", "id"),
        Index(None, "request_id"),
    )

    id: Mapped[Id]
    # Not now(), which is when the transaction began: entries come in the order of what they tell.
    at: Mapped[Instant] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor: Mapped[str]
    origin: Mapped[str | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    changes: Mapped[Mapping[str, Any]] = mapped_column(JSONB)


class AuditLink(Base):
    """What ties an entry to the one before it in its strand: the digest of both. The database alone makes links."""

    __tablename__ = "audit_links"
    __unlogged__: ClassVar = "it is the log"
    __table_args__ = (CheckConstraint(f"strand BETWEEN 0 AND {STRANDS - 1}", "strand"),)

    strand: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheck(Base):
    """One look at the whole log: where each strand ended, or at which place the log is not what it was."""

    __tablename__ = "audit_checks"
    __unlogged__: ClassVar = "it is about the log"

    id: Mapped[Id]
    heads: Mapped[Sequence[str]] = mapped_column(JSONB)
    broken: Mapped[str | None]
    at: Mapped[CreatedAt]
