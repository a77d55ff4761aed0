"""Predictions and suggestions as they travel."""

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from luckygas.predictions.models import SuggestionStatus
from luckygas.web.fields import PLAIN_DIGITS, Body, CylinderKg, Instant, Line, Output, Quantity, Query, RowId
from luckygas.web.pagination import NextCursor, PageQuery

Days = Annotated[float, Field(ge=0, description="Mean of how many days it was off, early or late")]


class PredictionOut(Output):
    """When a customer is expected to order next."""

    customer_id: RowId
    order_id: Annotated[RowId, Field(description="The order after which it was made, the customer's newest then")]
    ordered_on: date
    due_on: date
    intervals: Annotated[int, Field(ge=0, description="Intervals that it stands on; 0 is the habit of the kind alone")]
    made_on: date


class PredictionQuery(PageQuery):
    """Which predictions to list."""

    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    due_on: date | None = None


class PredictionPage(Output):
    """Some predictions, of the newest customers first."""

    items: list[PredictionOut]
    next_cursor: NextCursor


class AccuracyQuery(Query):
    """Of which days."""

    days: Annotated[int, Field(ge=1, le=365, description="Of orders placed in the last so many days"), PLAIN_DIGITS] = (
        30
    )


class AccuracyOut(Output):
    """How good the predictions for customers of a kind were; only those that the naive ways could make, too."""

    kind: str
    orders: Annotated[int, Field(ge=1)]
    error_days: Days
    last_interval_error_days: Annotated[Days, Field(description="The same, had the last interval been taken")]
    mean_interval_error_days: Annotated[Days, Field(description="The same, had the mean interval been taken")]


class AccuracyListOut(Output):
    """The kinds for which there was something to compare."""

    items: list[AccuracyOut]


class SuggestionLineBody(Body):
    """Some cylinders of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity


class SuggestionLineOut(Output):
    """Some cylinders of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity


class SuggestionOut(Output):
    """An order that a customer may want."""

    id: RowId
    customer_id: RowId
    for_day: date
    due_on: Annotated[date, Field(description="When the customer was expected to order")]
    lines: list[SuggestionLineOut]
    status: SuggestionStatus
    order_id: Annotated[RowId | None, Field(description="The order that it became")]
    reason: str | None
    again_on: date | None
    decided_by: str | None
    created_at: Instant


class SuggestionQuery(PageQuery):
    """Which suggestions to list."""

    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    status: SuggestionStatus | None = None
    for_day: date | None = None


class SuggestionPage(Output):
    """Some suggestions, newest first."""

    items: list[SuggestionOut]
    next_cursor: NextCursor


class AcceptIn(Body):
    """What the customer takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lines": [{"cylinder_kg": 20, "quantity": 2}]}, {}]})

    lines: Annotated[
        Annotated[list[SuggestionLineBody], Field(min_length=1, max_length=5)] | None,
        Field(description="Each size at most once; what was suggested if left out"),
    ] = None

    @model_validator(mode="after")
    def _each_size_once(self) -> Self:
        sizes = [line.cylinder_kg for line in self.lines or ()]
        if len(sizes) != len(set(sizes)):
            raise ValueError("an order with a size twice: add the two up")
        return self


class DismissIn(Body):
    """Why the customer takes nothing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "還有一支滿的", "again_on": "2030-01-15"}]})

    reason: Annotated[Line, Field(max_length=200)]
    again_on: Annotated[
        date | None,
        Field(
            description="The day for which it may be suggested again; not before the customer's next order if left out"
        ),
    ] = None
