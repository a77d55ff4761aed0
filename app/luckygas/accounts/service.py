"""Giving out, recognising and taking back API keys."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from luckygas.access import Principal, Role
from luckygas.accounts.keys import Key
from luckygas.accounts.models import ApiKey
from luckygas.errors import NotFound, Unauthenticated

_USE_RESOLUTION: Final = timedelta(minutes=5)
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="luckygas", error="invalid_token"'}
_NOBODYS_MAC: Final = bytes(32)


def create_key(session: Session, *, pepper: str, name: str, role: Role, expires_at: datetime) -> Key:
    """Store a new key of `role` and return it whole, for the only time."""
    key = Key.generate()
    session.add(ApiKey(id=key.id, name=name, role=role, secret_mac=key.mac(pepper=pepper), expires_at=expires_at))
    session.flush()
    return key


def authenticate(session: Session, *, pepper: str, presented: str, now: datetime) -> Principal:
    """Return the holder of the key that `presented` spells, or raise `Unauthenticated`.

    Whether the id or the secret was wrong cannot be told from the answer. That a key has expired or was revoked is
    told only to who has its secret.
    """
    key = Key.parse(presented)
    row = session.get(ApiKey, key.id) if key else None
    expected = row.secret_mac if row else _NOBODYS_MAC
    if key is None or not hmac.compare_digest(key.mac(pepper=pepper), expected) or row is None:
        raise Unauthenticated(
            "this API key is not known here: check that it was copied whole, or ask for a new one", headers=_CHALLENGE
        )
    if (state := row.state(now=now)) != "usable":
        ended = row.revoked_at or row.expires_at
        raise Unauthenticated(
            f"the API key {row.id} is {state} since {ended:%Y-%m-%d}: ask for a new one", headers=_CHALLENGE
        )
    _note_use(session, row=row, now=now)
    return Principal(id=f"key:{row.id}", role=Role(row.role))


def has_usable_key(session: Session, *, name: str, now: datetime) -> bool:
    """Tell whether a key of this name is neither revoked nor expired."""
    keys = session.scalars(select(ApiKey).where(ApiKey.name == name))
    return any(key.state(now=now) == "usable" for key in keys)


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Return all keys that were ever given out, the oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).all()


def revoke_key(session: Session, *, key_id: str, now: datetime) -> ApiKey:
    """Make a key useless from now on; one that already is stays as it was. Raises `NotFound`."""
    row = session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise NotFound(f"there is no key {key_id}: take its id from `luckygas-app key list`")
    row.revoked_at = row.revoked_at or now
    return row


def _note_use(session: Session, *, row: ApiKey, now: datetime) -> None:
    """Keep when the key was last used, to a few minutes.

    Nobody waits for it: while one request notes it, those of the same key beside it go on. If the request fails, its
    note is rolled back with it.
    """
    before = now - _USE_RESOLUTION
    if row.last_used_at is not None and row.last_used_at >= before:
        return
    due = (
        select(ApiKey.id)
        .where(ApiKey.id == row.id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < before))
        .with_for_update(skip_locked=True)
    )
    session.execute(
        update(ApiKey).where(ApiKey.id == due.scalar_subquery()).values(last_used_at=now),
        execution_options={"synchronize_session": False},
    )
