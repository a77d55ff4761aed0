"""Orders as they travel."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, Field

from luckygas.orders.models import OrderStatus
from luckygas.web.fields import (
    PLAIN_DIGITS,
    Body,
    CylinderKg,
    ExportQuery,
    Instant,
    Line,
    Lines,
    Output,
    Quantity,
    Query,
    RowId,
    Version,
)
from luckygas.web.pagination import NextCursor, PageQuery

MOST_LINES = 20
HIGHEST_PRICE_TWD = 100_000

PriceTwd = Annotated[int, Field(ge=0, le=HIGHEST_PRICE_TWD, description="Price of one cylinder, whole TWD")]

_EXAMPLE = {
    "customer_id": 17,
    "lines": [{"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 850}],
    "note": "先打電話",
}


class OrderLineIn(Body):
    """Some cylinders of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity
    unit_price_twd: Annotated[PriceTwd | None, Field(description="Today's price of the list if left out")] = None


class OrderIn(Body):
    """An order to be placed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    customer_id: RowId
    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=MOST_LINES)]
    delivery_address: Annotated[
        Annotated[Line, Field(max_length=200)] | None, Field(description="The customer's address if left out")
    ] = None
    note: Annotated[Lines, Field(max_length=1000)] | None = None
    wanted_on: Annotated[date | None, Field(description="The day to deliver, today at the earliest")] = None


class OrderChange(Body):
    """All that may still be changed of an order, as it is to be from now on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lines": _EXAMPLE["lines"], "delivery_address": "臺北市大同區民生西路 45 號"}]}
    )

    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=MOST_LINES)]
    delivery_address: Annotated[Line, Field(max_length=200)]
    note: Annotated[Lines, Field(max_length=1000)] | None = None
    wanted_on: Annotated[date | None, Field(description="The day to deliver, today at the earliest")] = None


class CancelIn(Body):
    """Why an order is cancelled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "客人出國"}]})

    reason: Annotated[Line, Field(max_length=200)]


class OrderLineOut(Output):
    """Some cylinders of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity
    unit_price_twd: PriceTwd


class OrderOut(Output):
    """An order."""

    id: RowId
    customer_id: RowId
    status: OrderStatus
    lines: list[OrderLineOut]
    total_twd: Annotated[int, Field(ge=0, description="Sum of all lines, whole TWD")]
    delivery_address: str
    note: str | None
    wanted_on: date | None
    version: Version
    placed_at: Instant


class OrderFilters(Query):
    """Which orders are meant; all of what is given must hold."""

    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    status: OrderStatus | None = None
    wanted_on: date | None = None


class OrderQuery(OrderFilters, PageQuery):
    """Which orders to list."""


class OrderExportQuery(OrderFilters, ExportQuery):
    """Which orders to put into the file, and how that is to be."""


class OrderPage(Output):
    """Some orders, newest first."""

    items: list[OrderOut]
    next_cursor: NextCursor


class OrderEventOut(Output):
    """One thing that happened to an order."""

    id: RowId
    status: OrderStatus
    version: Version
    note: str | None
    by: str
    at: Instant


class OrderEventPage(Output):
    """What happened to an order, newest first."""

    items: list[OrderEventOut]
    next_cursor: NextCursor


class PriceIn(Body):
    """What a size costs from a day on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cylinder_kg": 20, "unit_price_twd": 850, "valid_from": "2030-01-01"}]}
    )

    cylinder_kg: CylinderKg
    unit_price_twd: PriceTwd
    valid_from: Annotated[date, Field(description="Today at the earliest: what was sold keeps its price")]


class PriceOut(Output):
    """What a size costs from a day on."""

    id: RowId
    cylinder_kg: CylinderKg
    unit_price_twd: PriceTwd
    valid_from: date
    by: str
    created_at: Instant


class PricePage(Output):
    """Some prices, the latest entry first."""

    items: list[PriceOut]
    next_cursor: NextCursor
