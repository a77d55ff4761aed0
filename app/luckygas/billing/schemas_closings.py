"""Closed days as they travel."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, Field

from luckygas.web.fields import Body, CylinderKg, Instant, Output, Query, RowId
from luckygas.web.pagination import NextCursor

Count = Annotated[int, Field(ge=0)]


class CloseIn(Body):
    """A day to be closed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"day": "2030-01-02"}]})

    day: date
    accept_differences: Annotated[bool, Field(description="Close it although something does not agree")] = False


class DayQuery(Query):
    """Which day to look at."""

    day: Annotated[date | None, Field(description="Today if left out")] = None


class ExchangeOut(Output):
    """Cylinders of one size."""

    cylinder_kg: CylinderKg
    ordered: Count
    delivered: Count
    returned: Count


class ShareOut(Output):
    """What one driver did, or the office, or all of them; whole TWD."""

    driver_id: Annotated[RowId | None, Field(description="Null for the office, and in the total")]
    orders: Count
    sales_twd: int
    returns_twd: Annotated[int, Field(description="Of deliveries that were cancelled, whenever they were made")]
    cash_twd: Annotated[int, Field(description="Taken, deposits included, less what was given back")]
    deposits_twd: Annotated[int, Field(description="Taken for cylinders, less what was given back")]
    transfers_twd: int
    handed_in_twd: int
    cash_difference_twd: Annotated[int, Field(description="Too much when it was counted; negative is missing")]
    cash_left_twd: Annotated[int, Field(description="What a driver has at the end of the day")]
    cylinders: list[ExchangeOut]


class TallyOut(Output):
    """The e-invoices of a day's sales."""

    wanted: Count
    wanted_twd: int
    issued: Count
    issued_twd: int
    void: Count
    void_twd: int


class ReportOut(Output):
    """A day, by driver and as a whole."""

    day: date
    shares: list[ShareOut]
    total: ShareOut
    invoices: TallyOut
    differences: Annotated[list[str], Field(description="What does not agree, in words; empty when all does")]


class ClosingOut(Output):
    """A closed day, as it was when it was closed."""

    id: RowId
    day: date
    report: ReportOut
    by: str
    at: Instant


class ClosingPage(Output):
    """Some closed days, newest first."""

    items: list[ClosingOut]
    next_cursor: NextCursor
