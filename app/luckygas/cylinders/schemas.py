"""Cylinders as they travel."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from luckygas.cylinders.models import Place
from luckygas.web.fields import PLAIN_DIGITS, Body, CylinderKg, Instant, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

MOST_MOVED = 200

Serial = Annotated[
    str, Field(pattern="^[A-Z0-9-]{4,20}$", description="As it is stamped on the collar: capitals, digits, hyphens")
]
Serials = Annotated[list[Serial], Field(min_length=1, max_length=MOST_MOVED)]

_EXAMPLE = {"serial": "LG20-000123", "cylinder_kg": 20, "inspected_until": "2031-06-30", "is_full": True}


class CylinderIn(Body):
    """A cylinder that joins the stock in the depot."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    serial: Serial
    cylinder_kg: CylinderKg
    inspected_until: Annotated[date, Field(description="The last day on which it may be delivered")]
    is_full: bool


class CylinderOut(Output):
    """A cylinder and where it is."""

    id: RowId
    serial: str
    cylinder_kg: CylinderKg
    inspected_until: date
    is_full: bool
    place: Place
    driver_id: RowId | None
    customer_id: RowId | None
    created_at: Instant


class CylinderQuery(PageQuery):
    """Which cylinders to list; all of what is given must hold."""

    serial: Serial | None = None
    place: Place | None = None
    driver_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    inspected_before: Annotated[date | None, Field(description="Those whose inspection ends before this day")] = None


class CylinderPage(Output):
    """Some cylinders, newest first."""

    items: list[CylinderOut]
    next_cursor: NextCursor


class LoadIn(Body):
    """What a driver takes along."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"driver_id": 3, "serials": ["LG20-000123"]}]})

    driver_id: RowId
    serials: Serials


class UnloadIn(LoadIn):
    """What a driver brings back, full or empty as it was on the truck."""


class RefillIn(Body):
    """Empty cylinders in the depot that were filled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"serials": ["LG20-000123"]}]})

    serials: Serials


class InspectionIn(Body):
    """A passed inspection."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inspected_until": "2031-06-30"}]})

    inspected_until: date


class MoveOut(Output):
    """One move of a cylinder."""

    id: RowId
    place: Place
    driver_id: RowId | None
    customer_id: RowId | None
    is_full: bool
    order_id: RowId | None
    by: str
    at: Instant


class MovePage(Output):
    """Some moves of a cylinder, newest first."""

    items: list[MoveOut]
    next_cursor: NextCursor


class MovedOut(Output):
    """What was moved."""

    items: list[CylinderOut]


class StockOut(Output):
    """How many of a kind are somewhere."""

    place: Place
    cylinder_kg: CylinderKg
    state: Literal["full", "empty"]
    count: Annotated[int, Field(ge=0)]


class StockListOut(Output):
    """All cylinders, counted."""

    items: list[StockOut]
    total: Annotated[int, Field(ge=0)]
