"""What is remembered about jobs beside the queue's own tables."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from luckygas.db.base import Base, CreatedAt, Id


class FinishedJob(Base):
    """A job whose effect is committed: written in the same transaction, so a second run finds it and does nothing."""

    __tablename__ = "finished_jobs"
    __unlogged__: ClassVar = "what the job did is logged"
    __table_args__ = (Index(None, "at"),)

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[CreatedAt]


class JobFailure(Base):
    """Why an attempt failed."""

    __tablename__ = "job_failures"
    __unlogged__: ClassVar = "it is a log of its own"
    __table_args__ = (Index(None, "job_id", "id"), Index(None, "at"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    reason: Mapped[str]
    at: Mapped[CreatedAt]
