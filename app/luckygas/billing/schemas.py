"""Payments, accounts and bills as they travel."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from luckygas.web.fields import PLAIN_DIGITS, Body, Instant, Line, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

HIGHEST_PAYMENT_TWD = 10_000_000

Note = Annotated[Line, Field(max_length=200)] | None


class Method(StrEnum):
    """How money came in."""

    CASH = "cash"
    TRANSFER = "transfer"


class PaymentIn(Body):
    """Money that a customer paid, or, negative, got back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer_id": 17, "method": "cash", "amount_twd": 1700, "driver_id": 3}]}
    )

    customer_id: RowId
    method: Method
    amount_twd: Annotated[
        int,
        Field(
            ge=-HIGHEST_PAYMENT_TWD,
            le=HIGHEST_PAYMENT_TWD,
            description="Whole TWD, at most what is owed; negative when a credit is given back",
        ),
    ]
    driver_id: Annotated[
        RowId | None, Field(description="The driver in whose hands the cash is; left out, it is in the till")
    ] = None
    note: Note = None


class PaidOut(Output):
    """A payment that is booked."""

    entry_id: Annotated[RowId, Field(description="The entry of the books, by which it can be reversed")]
    customer_id: RowId
    amount_twd: int
    owed_twd: Annotated[int, Field(description="What the customer owes now; negative is what we owe them")]


class HandInIn(Body):
    """The cash that a driver brought back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"driver_id": 3, "counted_twd": 25400}]})

    driver_id: RowId
    counted_twd: Annotated[int, Field(ge=0, le=HIGHEST_PAYMENT_TWD, description="As it was counted, whole TWD")]
    note: Note = None


class HandInOut(Output):
    """What was counted, held against the books."""

    entry_id: RowId
    driver_id: RowId
    expected_twd: Annotated[int, Field(description="What the driver should have had")]
    counted_twd: Annotated[int, Field(ge=0)]
    difference_twd: Annotated[int, Field(description="Counted less expected: negative is missing")]


class AccountIn(Body):
    """What is agreed with a customer about paying."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"is_monthly": True}]})

    is_monthly: Annotated[bool, Field(description="Deliveries from today on are put on one bill a month (月結)")]


class AccountOut(Output):
    """How a customer stands."""

    customer_id: RowId
    monthly_since: Annotated[date | None, Field(description="Null for those who pay at the door")]
    owed_twd: Annotated[int, Field(description="What the customer owes; negative is what we owe them")]
    deposit_twd: Annotated[int, Field(ge=0, description="What is held for cylinders on loan")]
    version: Annotated[int, Field(ge=0, description="0 until something is agreed")]


class BillItemOut(Output):
    """A delivery, or what was taken off it."""

    entry_id: RowId
    amount_twd: int


class BillOut(Output):
    """What a customer is asked to pay."""

    id: RowId
    customer_id: RowId
    until: Annotated[date, Field(description="The last day whose deliveries are on it")]
    due_on: date
    amount_twd: Annotated[int, Field(gt=0)]
    pay_into: Annotated[str | None, Field(description="The bank account of this bill, once the bank has opened it")]
    created_at: Instant


class BillFullOut(BillOut):
    """A bill with its items."""

    open_twd: Annotated[int, Field(ge=0, description="What is not paid yet; the oldest debt is paid first")]
    items: list[BillItemOut]


class BillQuery(PageQuery):
    """Which bills to list."""

    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None


class BillPage(Output):
    """Some bills, newest first."""

    items: list[BillOut]
    next_cursor: NextCursor
