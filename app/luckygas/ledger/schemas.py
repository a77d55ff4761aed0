"""The books as they travel."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, Field

from luckygas.ledger.models import Account, EntryKind
from luckygas.web.fields import PLAIN_DIGITS, Body, Instant, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

AmountTwd = Annotated[int, Field(description="Whole TWD")]


class EntryLineOut(Output):
    """An amount on an account."""

    account: Account
    customer_id: RowId | None
    driver_id: RowId | None
    amount_twd: Annotated[int, Field(description="Whole TWD; positive is what comes to a debt or to our hands")]


class EntryOut(Output):
    """One booking; its lines come to zero."""

    id: RowId
    day: date
    kind: EntryKind
    order_id: RowId | None
    driver_id: RowId | None
    note: str | None
    by: str
    at: Instant
    lines: list[EntryLineOut]


class EntryQuery(PageQuery):
    """Which entries to list; all of what is given must hold."""

    day: date | None = None
    kind: EntryKind | None = None
    order_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None


class EntryPage(Output):
    """Some entries, newest first."""

    items: list[EntryOut]
    next_cursor: NextCursor


class ReversalIn(Body):
    """Why an entry was a mistake."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "打錯客戶"}]})

    reason: Annotated[Line, Field(max_length=200)]


class BalanceOut(Output):
    """What all bookings on an account come to."""

    account: Account
    amount_twd: AmountTwd


class BalanceListOut(Output):
    """All accounts."""

    items: list[BalanceOut]
    total_twd: Annotated[int, Field(description="Anything but 0 would be a defect")]
