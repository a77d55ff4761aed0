"""Routes as they travel."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from luckygas.deliveries.models import Outcome, RouteStatus
from luckygas.web.fields import PLAIN_DIGITS, Body, Instant, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

MOST_STOPS = 100
MOST_CYLINDERS = 200
MOST_CASH_TWD = 10_000_000

_Serials = list[Annotated[str, Field(pattern="^[A-Z0-9-]{4,20}$")]]


class RouteIn(Body):
    """Orders that a driver is to bring on a day."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"driver_id": 3, "day": "2030-01-02", "order_ids": [17, 18]}]}
    )

    driver_id: RowId
    day: Annotated[date, Field(description="Today at the earliest")]
    order_ids: Annotated[list[RowId], Field(min_length=1, max_length=MOST_STOPS)]


class DeliverIn(Body):
    """What was handed over, by serial number, and to whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "delivered": ["LG20-000123"],
                    "returned": ["LG20-000077"],
                    "received_by": "王太太",
                    "cash_twd": 850,
                }
            ]
        }
    )

    delivered: Annotated[_Serials, Field(min_length=1, max_length=MOST_CYLINDERS)]
    returned: Annotated[_Serials, Field(max_length=MOST_CYLINDERS)] = ()
    received_by: Annotated[Line, Field(max_length=100, description="Who took it: the proof of delivery")]
    cash_twd: Annotated[
        int, Field(ge=0, le=MOST_CASH_TWD, description="What the driver took for gas, at most what is owed, whole TWD")
    ] = 0
    deposit_twd: Annotated[
        int,
        Field(
            ge=-MOST_CASH_TWD,
            le=MOST_CASH_TWD,
            description="What the driver took as a deposit for cylinders, negative when it went back, whole TWD",
        ),
    ] = 0
    by_transfer: Annotated[
        bool, Field(description="What is left of this order will be transferred: makes a bill with a bank account")
    ] = False
    note: Annotated[Line, Field(max_length=200)] | None = None


class FailIn(Body):
    """Why an order could not be delivered, or is not to be any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "沒有人在家"}]})

    reason: Annotated[Line, Field(max_length=200)]


class StopOut(Output):
    """One order on a route."""

    order_id: RowId
    position: Annotated[int, Field(ge=1)]
    outcome: Outcome
    received_by: str | None
    note: str | None
    settled_at: Instant | None


class RouteOut(Output):
    """What a driver brings on a day, in sequence."""

    id: RowId
    driver_id: RowId
    day: date
    status: RouteStatus
    sequenced_by: Annotated[
        Literal["plain", "google"],
        Field(description="plain is by the text of the addresses, until google has answered"),
    ]
    stops: list[StopOut]
    created_at: Instant


class RouteQuery(PageQuery):
    """Which routes to list; all of what is given must hold."""

    driver_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    day: date | None = None


class RoutePage(Output):
    """Some routes, newest first."""

    items: list[RouteOut]
    next_cursor: NextCursor
