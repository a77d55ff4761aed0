"""Giving out, recognising, replacing and taking back API keys."""

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ARRAY, Row, Text, any_, func, literal, or_, select
from sqlalchemy.orm import Session

from luckygas.access import GRANTS, Permission, Principal, Role, Tier
from luckygas.accounts.keys import Key
from luckygas.accounts.models import ApiKey
from luckygas.errors import FieldError, Forbidden, Invalid, NotFound, Problem, Unauthenticated

OVERLAP: Final = timedelta(days=7)

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="luckygas", error="invalid_token"'}
_NOBODYS_MAC: Final = bytes(32)


class KeyState(Problem):
    """The key is over, or has a successor already."""

    status, code, title = 409, "key_state", "The key is not in the state for that"


def create_key(  # noqa: PLR0913 - all by name, and most may be left out
    session: Session,
    *,
    pepper: str,
    name: str,
    role: Role,
    expires_at: datetime,
    tier: Tier = Tier.BASIC,
    scopes: Iterable[Permission] | None = None,
    owner_id: int | None = None,
) -> Key:
    """Store a new key and return it whole, for the only time. `scopes` leave less than the role grants."""
    scopes = None if scopes is None else sorted(set(scopes))
    if beyond := set(scopes or ()) - GRANTS[role]:
        raise Invalid.because(FieldError("scopes", f"the role {role} has no {', '.join(sorted(beyond))}: leave it out"))
    return _issue(
        session, pepper=pepper, name=name, role=role, tier=tier, scopes=scopes, owner_id=owner_id, expires_at=expires_at
    )


def rotate_key(session: Session, *, pepper: str, key_id: str, now: datetime, expires_at: datetime) -> Key:
    """Return a new key that may do the same; the old one ends after a while in which both are good."""
    old = get_key(session, key_id=key_id, lock=True)
    if old.state(now=now) != "usable":
        raise KeyState(f"the key {key_id} is {old.state(now=now)}: create a new one")
    if (successor := session.scalar(select(ApiKey.id).where(ApiKey.replaces == key_id))) is not None:
        raise KeyState(f"the key {key_id} was replaced by {successor}: use or rotate that one")
    old.expires_at = min(old.expires_at, now + OVERLAP)
    same = {column: getattr(old, column) for column in ("name", "role", "tier", "scopes", "owner_id")}
    return _issue(session, pepper=pepper, replaces=old.id, expires_at=expires_at, **same)


def authenticate(session: Session, *, pepper: str, presented: str, now: datetime) -> ApiKey:
    """Return the key that `presented` spells, or raise `Unauthenticated`.

    Whether the id or the secret was wrong cannot be told from the answer. That a key has expired or was revoked is
    told only to who has its secret.
    """
    key = Key.parse(presented)
    row = session.get(ApiKey, key.id) if key else None
    expected = row.secret_mac if row else _NOBODYS_MAC
    # All of them, so that how long it takes does not depend on which one it is.
    fits = [hmac.compare_digest(mac, expected) for mac in key.macs(pepper=pepper)] if key else []
    if not any(fits) or row is None:
        raise Unauthenticated(
            "this API key is not known here: check that it was copied whole, or ask for a new one", headers=_CHALLENGE
        )
    if (state := row.state(now=now)) != "usable":
        ended = row.revoked_at or row.expires_at
        raise Unauthenticated(
            f"the API key {row.id} is {state} since {ended:%Y-%m-%d}: ask for a new one",
            headers=_CHALLENGE,
            innocent=True,
        )
    return row


def usable_keys(session: Session, *, ids: Collection[str]) -> Mapping[str, Row[Any]]:
    """Return by its id what `principal_of` and the recognition of a key take, of those that nobody revoked.

    Columns alone, since this is asked for hundreds every few seconds.
    """
    columns = ApiKey.id, ApiKey.secret_mac, ApiKey.role, ApiKey.tier, ApiKey.scopes, ApiKey.expires_at
    among = ApiKey.id == any_(literal(sorted(ids), ARRAY(Text)))
    return {row.id: row for row in session.execute(select(*columns).where(among, ApiKey.revoked_at.is_(None)))}


def mac_of(presented: str, *, pepper: str) -> bytes:
    """Return what a key that was recognised is to be recognised by from now on."""
    return cast("Key", Key.parse(presented)).mac(pepper=pepper)


def principal_of(row: ApiKey | Row[Any]) -> Principal:
    """Return what the holder of a key is to the rest of the service."""
    scopes = None if row.scopes is None else frozenset(row.scopes)
    return Principal(f"key:{row.id}", Role(row.role), scopes=scopes, tier=Tier(row.tier))


def principals_like(session: Session, *, principal: str) -> set[str]:
    """Return as whom the holder of `principal` calls: also by keys that it replaced, or that replaced it."""
    kind, _, key_id = principal.partition(":")
    if kind != "key":
        return {principal}
    keys = select(ApiKey.id, ApiKey.replaces).where(ApiKey.id == key_id).cte(recursive=True)
    beside = or_(ApiKey.id == keys.c.replaces, ApiKey.replaces == keys.c.id)
    keys = keys.union(select(ApiKey.id, ApiKey.replaces).join(keys, beside))
    return {principal, *(f"key:{found}" for found in session.scalars(select(keys.c.id)))}


def forbid_more_than(grantor: Principal, *, role: Role, scopes: Iterable[str] | None) -> None:
    """Raise `Forbidden` if a key of this role and scopes could do what its giver cannot."""
    granted = Principal("", role, scopes=None if scopes is None else frozenset(scopes)).permissions()
    if beyond := granted - grantor.permissions():
        raise Forbidden(f"you cannot give what you do not have: {', '.join(sorted(beyond))}")


def has_usable_key(session: Session, *, name: str, now: datetime) -> bool:
    """Tell whether a key of this name is neither revoked nor expired."""
    keys = session.scalars(select(ApiKey).where(ApiKey.name == name))
    return any(key.state(now=now) == "usable" for key in keys)


def list_keys(session: Session, *, prefix: str = "", unused_since: datetime | None = None) -> Sequence[ApiKey]:
    """Return all keys that were ever given out and whose ids begin with `prefix`, the oldest first.

    With `unused_since` only those that were there at that moment and were not used from then on.
    """
    keys = select(ApiKey).where(ApiKey.id.startswith(prefix, autoescape=True))
    if unused_since is not None:
        last = func.coalesce(ApiKey.last_used_at, ApiKey.created_at)
        keys = keys.where(ApiKey.created_at < unused_since, last < unused_since)
    return session.scalars(keys.order_by(ApiKey.number)).all()


def find_keys(
    session: Session, *, prefix: str, owner_id: int | None, before_number: int, count: int
) -> Sequence[ApiKey]:
    """Return at most `count` keys with smaller numbers than `before_number`, newest first, of one owner or all."""
    keys = select(ApiKey).where(ApiKey.number < before_number, ApiKey.id.startswith(prefix, autoescape=True))
    if owner_id is not None:
        keys = keys.where(ApiKey.owner_id == owner_id)
    return session.scalars(keys.order_by(ApiKey.number.desc()).limit(count)).all()


def get_key(session: Session, *, key_id: str, lock: bool = False) -> ApiKey:
    """Return one key, for a change with `lock`, or raise `NotFound`."""
    row = session.get(ApiKey, key_id, with_for_update=lock or None)
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    return row


def revoke_key(session: Session, *, key_id: str, now: datetime) -> ApiKey:
    """Make a key useless from now on; one that already is stays as it was. Raises `NotFound`."""
    row = get_key(session, key_id=key_id, lock=True)
    row.revoked_at = row.revoked_at or now
    return row


def _issue(session: Session, *, pepper: str, **columns: Any) -> Key:
    key = Key.generate()
    session.add(ApiKey(id=key.id, secret_mac=key.mac(pepper=pepper), **columns))
    session.flush()
    return key
