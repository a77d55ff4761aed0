"""Looking into the log."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.audit.schemas import AuditQuery
from luckygas.audit.tables import AuditEntry
from luckygas.errors import FieldError, Invalid


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
