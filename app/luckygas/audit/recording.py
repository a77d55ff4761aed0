"""Every change of a mapped object becomes an entry, in the transaction of the change.

Nothing has to be done for that, and a new model is logged like the others. A class says `__unlogged__ = "why"` when
nobody wants to read about it, and a column `info=SECRET` when its values must not be read. A statement that changes
rows without their objects tells nobody what they were, so it is refused on a logged table, unless its execution options
say `unlogged="why"`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import TextClause, event, text
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    object_session,
    sessionmaker,
)

from luckygas.audit.actor import FindActor
from luckygas.db.base import Base, is_secret

ACTOR: Final = "actor"
MASK: Final = "***"

_CHANGED: Final = "audit.changed"
_PENDING: Final = "audit.pending"
_MARKS: Final = "audit.marks"
_WRITES: Final = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(?:ONLY\s+)?\"?(\w+)", re.IGNORECASE
)
# One statement however many entries there are: it is the last trip before the commit.
_INSERT: Final = text(
    "INSERT INTO audit_entries (actor, origin, request_id, action, entity, entity_id, changes)"
    " SELECT :actor, :origin, :request_id, action, entity, entity_id, changes"
    " FROM jsonb_to_recordset(CAST(:entries AS jsonb))"
    " AS entry (action text, entity text, entity_id text, changes jsonb)"
)


class UnloggedChange(Exception):  # noqa: N818 - a defect of ours, found before anything was changed
    """A statement would change a logged table past the log."""


def listen(
    sessions: sessionmaker[Session],
    *,
    actor: FindActor,
    changed: Callable[[Session, set[str]], None] = lambda _session, _tables: None,
) -> None:
    """Have every session that `sessions` makes log what it changes, as done by `actor` unless its `info` says else.

    Just before a commit `changed` is told in which tables that was.
    """
    sessions.configure(info={ACTOR: actor, _CHANGED: changed})
    event.listen(sessions, "do_orm_execute", _refuse_unlogged)
    event.listen(sessions, "before_commit", _write)
    event.listen(sessions, "after_transaction_create", _mark)
    event.listen(sessions, "after_soft_rollback", _take_back)
    event.listen(sessions, "after_transaction_end", _forget)


def note(
    session: Session, *, action: str, entity: str, entity_id: object, details: Mapping[str, Any] | None = None
) -> None:
    """Log something that is no change of a row, such as a log-in that was refused; kept if `session` commits."""
    changes = {name: [None, value] for name, value in (details or {}).items()}
    _pending(session).append({"action": action, "entity": entity, "entity_id": str(entity_id), "changes": changes})


def note_created(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Log rows of `model` that must be stored by one statement; that one says `unlogged="logged beside it"`."""
    mapper = model.__mapper__
    for row in rows:
        entity_id = "/".join(str(row[column.key]) for column in mapper.primary_key)
        changes = {name: [None, _shown(mapper, name, value)] for name, value in row.items() if value is not None}
        entry = {"action": "created", "entity": mapper.local_table.name, "entity_id": entity_id, "changes": changes}
        _pending(session).append(entry)


def _pending(session: Session) -> list[dict[str, Any]]:
    return session.info.setdefault(_PENDING, [])


def _write(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.flush()
    if not (entries := session.info.pop(_PENDING, None)):
        return
    session.info[_CHANGED](session, {entry["entity"] for entry in entries})
    actor = session.info[ACTOR]()
    session.connection().execute(
        _INSERT,
        {
            "actor": actor.name,
            "origin": actor.origin,
            "request_id": actor.request_id,
            "entries": json.dumps(entries, ensure_ascii=False, default=_plain),
        },
    )


def _mark(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        session.info.setdefault(_MARKS, {})[transaction] = len(_pending(session))


def _take_back(session: Session, transaction: SessionTransaction) -> None:
    """Forget what was done since the savepoint to which the session went back."""
    mark = session.info.get(_MARKS, {}).get(transaction)
    if mark is not None:
        del _pending(session)[mark:]


def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_PENDING, None)
        session.info.pop(_MARKS, None)


def _refuse_unlogged(state: ORMExecuteState) -> None:
    if state.is_select or "unlogged" in state.execution_options:
        return
    if state.is_insert or state.is_update or state.is_delete:
        names = {state.statement.table.name}
    elif isinstance(state.statement, TextClause):
        names = set(_WRITES.findall(state.statement.text))
    else:
        return
    if logged := sorted(names & _logged_tables()):
        raise UnloggedChange(
            f"a statement changes {', '.join(logged)} past the audit log: change objects and flush them, or give it "
            'execution_options={"unlogged": "why"}'
        )


@cache
def _logged_tables() -> frozenset[str]:
    return frozenset(mapper.local_table.name for mapper in Base.registry.mappers if mapper.class_.__unlogged__ is None)


@event.listens_for(Base, "after_insert", propagate=True)
def _inserted(mapper: Mapper, _connection: object, target: Base) -> None:
    _log(mapper, target, "created", ((name, None, value) for name, value in _stored(mapper, target)))


@event.listens_for(Base, "after_delete", propagate=True)
def _deleted(mapper: Mapper, _connection: object, target: Base) -> None:
    _log(mapper, target, "removed", ((name, value, None) for name, value in _stored(mapper, target)))


@event.listens_for(Base, "after_update", propagate=True)
def _updated(mapper: Mapper, _connection: object, target: Base) -> None:
    _log(mapper, target, "changed", _differences(mapper, target))


def _log(mapper: Mapper, target: Base, action: str, changes: Iterator[tuple[str, Any, Any]]) -> None:
    session = object_session(target)
    if target.__unlogged__ is not None or session is None or ACTOR not in session.info:
        return
    found = {name: [_shown(mapper, name, before), _shown(mapper, name, after)] for name, before, after in changes}
    if found or action != "changed":
        entity_id = "/".join(str(value) for value in mapper.primary_key_from_instance(target))
        entry = {"action": action, "entity": mapper.local_table.name, "entity_id": entity_id, "changes": found}
        _pending(session).append(entry)


def _stored(mapper: Mapper, target: Base) -> Iterator[tuple[str, Any]]:
    """Yield what is known of a row; what the database fills in by itself may be missing."""
    for attribute in mapper.column_attrs:
        if (value := target.__dict__.get(attribute.key)) is not None:
            yield attribute.key, value


def _differences(mapper: Mapper, target: Base) -> Iterator[tuple[str, Any, Any]]:
    state: InstanceState = target._sa_instance_state  # noqa: SLF001 - what inspect() returns, without its detour
    for attribute in mapper.column_attrs:
        history = state.attrs[attribute.key].history
        if history.has_changes():
            before = history.deleted[0] if history.deleted else None
            after = history.added[0] if history.added else None
            yield attribute.key, before, after


def _shown(mapper: Mapper, name: str, value: Any) -> Any:
    secret = value is not None and is_secret(mapper.column_attrs[name].columns[0])
    return MASK if secret else value


def _plain(value: Any) -> Any:
    """Return what JSON has no word for as something that it has."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)
