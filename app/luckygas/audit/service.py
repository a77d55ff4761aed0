"""Looking into the log, and seeing that nobody rewrote it."""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.audit import chain
from luckygas.audit.schemas import AuditQuery
from luckygas.audit.tables import AuditCheck, AuditEntry
from luckygas.errors import FieldError, Invalid

logger: Final = logging.getLogger(__name__)


def find(session: Session, *, query: AuditQuery, before_id: int, count: int) -> Sequence[AuditEntry]:
    """Return at most `count` entries with smaller ids than `before_id`, newest first, that `query` is about."""
    if query.entity_id is not None and query.entity is None:
        raise Invalid.because(FieldError("entity", "missing: entity_id alone could be anything, say of what it is"))
    statement = select(AuditEntry).where(AuditEntry.id < before_id).order_by(AuditEntry.id.desc()).limit(count)
    for column in (
        AuditEntry.actor,
        AuditEntry.action,
        AuditEntry.entity,
        AuditEntry.entity_id,
        AuditEntry.request_id,
    ):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    if query.since is not None:
        statement = statement.where(AuditEntry.at >= query.since)
    if query.until is not None:
        statement = statement.where(AuditEntry.at < query.until)
    return session.scalars(statement).all()


def check(session: Session) -> AuditCheck:
    """Hold the whole log against its links and against where it ended when it was unbroken last; keep what is found."""
    statement = select(AuditCheck).where(AuditCheck.broken.is_(None)).order_by(AuditCheck.id.desc()).limit(1)
    good = session.scalar(statement)
    known = [chain.Head.parse(line) for line in good.heads] if good else []
    row = AuditCheck(heads=[])
    try:
        row.heads = [str(head) for head in chain.verify(session, known=known)]
    except chain.BrokenChain as broken:
        row.broken = str(broken)
        logger.error("the audit log is broken", extra={"reason": row.broken})  # noqa: TRY400 - a finding
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def last_check(session: Session) -> AuditCheck | None:
    """Return what was found last."""
    return session.scalar(select(AuditCheck).order_by(AuditCheck.id.desc()).limit(1))
