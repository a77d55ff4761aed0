"""API keys as they travel."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from luckygas.access import Permission, Role, Tier
from luckygas.accounts.models import LIFETIME_DAYS, ApiKey
from luckygas.web.fields import PLAIN_DIGITS, Body, Instant, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

Days = Annotated[int, Field(ge=1, le=3650, description="For how many days the key is good")]
KeyId = Annotated[
    str, Field(pattern="^[0-9a-z]{8}$", description="The part of the key that may be shown", examples=["ab12cd34"])
]


class KeyIn(Body):
    """A key to be given out."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "web shop", "role": "service", "scopes": ["orders:write"]}]}
    )

    name: Annotated[Line, Field(max_length=100, description="Whose key it is, such as the program that uses it")]
    role: Role
    tier: Tier = Tier.BASIC
    scopes: Annotated[
        list[Permission] | None,
        Field(min_length=1, max_length=len(Permission), description="Less than its role may"),
    ] = None
    days: Days = LIFETIME_DAYS


class RotationIn(Body):
    """How the successor of a key is to be."""

    days: Days = LIFETIME_DAYS


class KeyOut(Output):
    """A key, never its secret."""

    id: KeyId
    name: str
    role: Role
    tier: Tier
    scopes: Annotated[list[str] | None, Field(description="null is all that its role may")]
    owner_id: Annotated[RowId | None, Field(description="The person who gave it out")]
    replaces: Annotated[KeyId | None, Field(description="The key whose successor this is")]
    state: Literal["usable", "expired", "revoked"]
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None
    last_used_at: Annotated[Instant | None, Field(description="To some seconds")]


class NewKeyOut(Output):
    """A key with its secret, shown this once."""

    key: KeyOut
    secret: Annotated[str, Field(description="The whole key, as its holder sends it")]


class KeyUseOut(Output):
    """How often a key was used on one day."""

    day: date
    requests: Annotated[int, Field(ge=0)]


class KeyUsesOut(Output):
    """On which days a key was used, the newest first."""

    items: list[KeyUseOut]
    total: Annotated[int, Field(ge=0, description="Requests on all days of the list")]


class KeyQuery(PageQuery):
    """Which keys to list."""

    prefix: Annotated[
        str, StringConstraints(pattern="^(lg_live_)?[0-9a-z]{0,8}$"), Field(description="How the key begins")
    ] = ""
    owner_id: Annotated[RowId, PLAIN_DIGITS] | None = None


class KeyPage(Output):
    """Some keys, newest first."""

    items: list[KeyOut]
    next_cursor: NextCursor


def shown(row: ApiKey, *, now: datetime) -> dict[str, Any]:
    """Return what `KeyOut` says of a key at the moment `now`."""
    fields = {name: getattr(row, name) for name in KeyOut.model_fields if name != "state"}
    return fields | {"state": row.state(now=now)}
