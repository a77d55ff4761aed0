"""What an operator should know of keys that are in use: that they end soon, or are used in an unusual way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, cast, exists, func, select
from sqlalchemy.orm import Session, aliased

from luckygas.accounts.models import ApiKey, KeyNetwork, KeyUse

AHEAD: Final = timedelta(days=30)
"""So long before its end a key is told of. Those that were made for less are not: whoever made them knows."""
IN_USE: Final = timedelta(days=7)
NEW_FOR: Final = timedelta(days=1)
SETTLED_AFTER: Final = timedelta(days=7)
COMPARED_DAYS: Final = 14

MANY_TIMES, MANY_REQUESTS = 10, 500
REFUSED_NOW, REFUSED_BEFORE, REFUSED_REQUESTS = 0.5, 0.1, 50
_FEWEST_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Remark:
    """What is unusual about the use of a key: `network`, `volume` or `refused`."""

    key_id: str
    name: str
    what: str


def ending(session: Session, *, now: datetime) -> Sequence[ApiKey]:
    """Return the keys that are in use and end soon, whether or not they have a successor that nobody uses yet."""
    successor = aliased(ApiKey)
    replaced = exists().where(successor.replaces == ApiKey.id)
    keys = select(ApiKey).where(
        ApiKey.revoked_at.is_(None),
        ApiKey.expires_at.between(now, now + AHEAD),
        ApiKey.expires_at - ApiKey.created_at > AHEAD,
        ApiKey.last_used_at > now - IN_USE,
        ~replaced | (ApiKey.last_used_at > now - NEW_FOR),
    )
    return session.scalars(keys.order_by(ApiKey.expires_at)).all()


def unusual(session: Session, *, now: datetime, today: date) -> list[Remark]:
    """Return what is unusual about the keys that were used today."""
    usable = {
        row.id: row.name
        for row in session.execute(
            select(ApiKey.id, ApiKey.name).where(
                ApiKey.revoked_at.is_(None), ApiKey.expires_at > now, ApiKey.last_used_at > now - NEW_FOR
            )
        )
    }
    found = [*_from_new_networks(session, now=now), *_more_than_before(session, today=today)]
    return [Remark(key_id, usable[key_id], what) for key_id, what in found if key_id in usable]


def _from_new_networks(session: Session, *, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield keys that for a week came from elsewhere."""
    other = aliased(KeyNetwork)
    settled = exists().where(other.key_id == KeyNetwork.key_id, other.first_at < now - SETTLED_AFTER)
    new = select(KeyNetwork.key_id).where(KeyNetwork.first_at > now - NEW_FOR, settled).distinct()
    for key_id in session.scalars(new):
        yield key_id, "network"


def _more_than_before(session: Session, *, today: date) -> Iterator[tuple[str, str]]:
    is_today = KeyUse.day == today
    sums = [
        cast(func.coalesce(func.sum(column).filter(when), 0), BigInteger).label(f"{column.key}_{word}")
        for column in (KeyUse.requests, KeyUse.refused)
        for word, when in (("today", is_today), ("before", ~is_today))
    ]
    days = func.count().filter(~is_today).label("days")
    since = today - timedelta(days=COMPARED_DAYS)
    rows = select(KeyUse.key_id, days, *sums).where(KeyUse.day.between(since, today)).group_by(KeyUse.key_id)
    for row in session.execute(rows):
        if row.days < _FEWEST_DAYS:
            continue
        if row.requests_today >= MANY_REQUESTS and row.requests_today > MANY_TIMES * row.requests_before / row.days:
            yield row.key_id, "volume"
        if (
            row.requests_today >= REFUSED_REQUESTS
            and row.refused_today > REFUSED_NOW * row.requests_today
            and row.refused_before < REFUSED_BEFORE * row.requests_before
        ):
            yield row.key_id, "refused"
