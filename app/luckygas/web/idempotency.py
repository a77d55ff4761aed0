"""`Idempotency-Key`: a request that is sent twice does its work once.

A key belongs to its principal. The first request claims it, and the claim, the work and the stored answer are one
transaction: a failure leaves no trace, so the key stays free for a corrected attempt. A second request that arrives
meanwhile waits for the first and then gets the same answer, or, when that takes too long, a 409 with Retry-After.
A key is remembered for at least a day.
"""

import hashlib
import json
import re
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar, Final

import psycopg
from flask import Response, current_app, request
from sqlalchemy import LargeBinary, SmallInteger, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from luckygas.db.base import Base, CreatedAt
from luckygas.db.session import current_session
from luckygas.errors import MalformedRequest, Problem
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import View

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
REMEMBERED: Final = timedelta(days=1)

PARAMETER: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Yours to choose, a UUID is good: the same key and body never do the work twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
REPLAYED_HEADER: Final = {
    "description": "Present when this is the stored answer of an earlier request with the same key",
    "schema": {"type": "string", "const": "true"},
}
"""Both headers in the OpenAPI document."""

_FORM: Final = re.compile(r"[\x21-\x7e]{1,255}")
_FORGOTTEN_AT_ONCE: Final = 20


class IdempotencyKeyReused(Problem):
    """The key stands for another request."""

    status, code, title = 409, "idempotency_key_reused", "This Idempotency-Key was used for another request"


class RequestInProgress(Problem):
    """The first request with this key is still at work."""

    status, code, title = 409, "request_in_progress", "The first request with this Idempotency-Key is not done yet"


class IdempotencyKey(Base):
    """One request that was answered; within its own transaction also the claim, still without an answer."""

    __tablename__ = "idempotency_keys"
    __unlogged__: ClassVar = "what the request did is logged"

    principal: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    location: Mapped[str | None]
    body: Mapped[str | None]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)


def idempotent(view: View) -> View:
    """Honour the header for a view that creates something; without it the view just runs."""

    @wraps(view)
    def view_once(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **kwargs)
        claim = _claim(current_session(), key=key)
        if claim.status is not None:
            return _replay(claim)
        response = current_app.make_response(view(*args, **kwargs))
        claim.status = response.status_code
        claim.location = response.location
        claim.body = response.get_data(as_text=True)
        _forget_old_keys(current_session())
        return response

    view_once.is_idempotent = True
    return view_once


def is_idempotent(view: View) -> bool:
    """Tell whether a registered view honours the header."""
    return getattr(view, "is_idempotent", False)


def _claim(session: Session, *, key: str) -> IdempotencyKey:
    """Return this principal's row for `key`, locked: a new one without an answer, or that of the first request."""
    if _FORM.fullmatch(key) is None:
        raise MalformedRequest(f"{HEADER} takes 1 to 255 visible ASCII characters: use a UUID")
    asked = fingerprint()
    # The update changes nothing, but unlike DO NOTHING it waits for, locks and returns the row that was there.
    statement = (
        insert(IdempotencyKey)
        .values(principal=current_principal().id, key=key, fingerprint=asked)
        .on_conflict_do_update(constraint=IdempotencyKey.__table__.primary_key, set_={"key": key})
        .returning(IdempotencyKey)
    )
    try:
        claim = session.scalars(statement).one()
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise RequestInProgress(
                f"the first request with {HEADER} {key} is still at work: ask again in a second",
                headers={"Retry-After": "1"},
            ) from None
        raise
    if claim.fingerprint != asked:
        raise IdempotencyKeyReused(
            f"{HEADER} {key} stands for a request with another address or body: use a new key for a new request"
        )
    return claim


def fingerprint() -> bytes:
    """Return 32 bytes that stand for what this request asks for, the same however its JSON is laid out."""
    canonical = json.dumps(json.loads(request.get_data()), sort_keys=True)
    return hashlib.sha256(f"{request.method} {request.path}\n{canonical}".encode()).digest()


def _replay(row: IdempotencyKey) -> Response:
    response = Response(row.body, row.status, mimetype="application/json")
    response.headers[REPLAYED] = "true"
    if row.location is not None:
        response.headers["Location"] = row.location
    return response


def _forget_old_keys(session: Session) -> None:
    """Remove some that are old enough, so that the table stays about a day long; never wait for another request."""
    names = tuple_(IdempotencyKey.principal, IdempotencyKey.key)
    old = (
        select(IdempotencyKey.principal, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < func.now() - REMEMBERED)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(delete(IdempotencyKey).where(names.in_(old)))
