"""The log as it travels."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from luckygas.web.fields import Instant, InstantIn, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

_NAME = "^[a-z_]{1,60}$"


class AuditQuery(PageQuery):
    """Which entries to list; all of what is given must hold."""

    actor: (
        Annotated[
            Annotated[Line, Field(max_length=100)],
            Field(
                description="Who: person:1, key:ab12cd34, partner:NAME, job:NAME, operator:LOGIN, service:PROCESS or "
                "anonymous"
            ),
        ]
        | None
    ) = None
    action: (
        Annotated[str, Field(pattern=_NAME, description="created, changed, removed, logged_in, login_refused, ...")]
        | None
    ) = None
    entity: Annotated[str, Field(pattern=_NAME, description="The kind of thing, such as customers")] | None = None
    entity_id: (
        Annotated[Annotated[Line, Field(max_length=200)], Field(description="Its id; needs entity as well")] | None
    ) = None
    request_id: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{8,64}$")] | None = None
    since: InstantIn | None = None
    until: Annotated[InstantIn, Field(description="Entries before this moment")] | None = None


class ChangeOut(Output):
    """What became of one column; secrets are ***."""

    before: Annotated[Any, Field(examples=["王小明"])]
    after: Annotated[Any, Field(examples=["王大明"])]


def _pairs(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: {"before": before, "after": after} for name, (before, after) in changes.items()}


class AuditEntryOut(Output):
    """One change of one thing, or one decision about somebody."""

    id: RowId
    at: Instant
    actor: str
    origin: Annotated[str | None, Field(description="The address of the client, or the number of the job")]
    request_id: str | None
    action: str
    entity: str
    entity_id: str
    changes: Annotated[dict[str, ChangeOut], BeforeValidator(_pairs)]


class AuditPage(Output):
    """Some entries, newest first."""

    items: list[AuditEntryOut]
    next_cursor: NextCursor
