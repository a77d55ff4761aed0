"""Customers as they travel."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from luckygas.customers.models import CustomerKind
from luckygas.taiwan import normalise_mobile, normalise_tax_number
from luckygas.web.fields import Body, Instant, Line, Lines, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery

Mobile = Annotated[
    str,
    Field(max_length=40, description="Taiwanese mobile number; spaces, hyphens and +886 are fine"),
    AfterValidator(normalise_mobile),
]
TaxNumber = Annotated[
    str,
    Field(max_length=40, description="統一編號: 8 digits that pass its check rule"),
    AfterValidator(normalise_tax_number),
]

_EXAMPLE = {
    "kind": "restaurant",
    "name": "阿明小吃店",
    "mobile": "0912-345-678",
    "tax_number": "04595257",
    "address": "臺北市大同區民生西路 45 號",
    "note": "後門送貨",
}


class CustomerIn(Body):
    """A customer to be created."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    kind: CustomerKind
    name: Annotated[Line, Field(max_length=100)]
    mobile: Mobile
    tax_number: TaxNumber | None = None
    address: Annotated[Line, Field(max_length=200)]
    note: Annotated[Lines, Field(max_length=1000)] | None = None


class CustomerOut(Output):
    """A customer."""

    id: RowId
    kind: CustomerKind
    name: str
    mobile: Annotated[str, Field(pattern="^09[0-9]{8}$")]
    tax_number: Annotated[str, Field(pattern="^[0-9]{8}$")] | None
    address: str
    note: str | None
    created_at: Instant


class CustomerQuery(PageQuery):
    """Which customers to list."""

    mobile: Mobile | None = None


class CustomerPage(Output):
    """Some customers, newest first."""

    items: list[CustomerOut]
    next_cursor: NextCursor
