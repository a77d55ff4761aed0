"""Customers as they travel."""

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from luckygas.customers.models import CustomerKind
from luckygas.taiwan import normalise_landline, normalise_mobile, normalise_tax_number
from luckygas.web.fields import Body, CylinderKg, Instant, Line, Lines, Output, Quantity, Query, RowId, Version
from luckygas.web.pagination import NextCursor, PageQuery

MOST_ADDRESSES = 20
HIGHEST_DEPOSIT_TWD = 10_000_000

Mobile = Annotated[
    str,
    Field(max_length=40, description="Taiwanese mobile number; spaces, hyphens and +886 are fine"),
    AfterValidator(normalise_mobile),
]
Landline = Annotated[
    str,
    Field(max_length=40, description="Taiwanese landline number with its area code"),
    AfterValidator(normalise_landline),
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
    "landline": "02-25531234",
    "tax_number": "04595257",
    "address": "臺北市大同區民生西路 45 號",
    "further_addresses": [{"label": "二店", "address": "臺北市大同區寧夏路 8 號"}],
    "usual_cylinders": [{"cylinder_kg": 20, "quantity": 2}],
    "note": "後門送貨",
}


class PlaceIn(Body):
    """Another place of a customer."""

    label: Annotated[Line, Field(max_length=50)]
    address: Annotated[Line, Field(max_length=200)]


class UsualIn(Body):
    """What a customer usually takes of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity


class CustomerIn(Body):
    """A customer to be created."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    kind: CustomerKind
    name: Annotated[Line, Field(max_length=100)]
    mobile: Mobile
    landline: Landline | None = None
    tax_number: TaxNumber | None = None
    address: Annotated[Line, Field(max_length=200)]
    further_addresses: Annotated[list[PlaceIn], Field(max_length=MOST_ADDRESSES)] = ()
    usual_cylinders: Annotated[list[UsualIn], Field(max_length=5, description="Each size at most once")] = ()
    note: Annotated[Lines, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _each_size_once(self) -> Self:
        sizes = [usual.cylinder_kg for usual in self.usual_cylinders]
        if len(sizes) != len(set(sizes)):
            raise ValueError("a customer with a size in usual_cylinders twice: add the two up")
        return self


class PlaceOut(Output):
    """Another place of a customer."""

    label: str
    address: str


class UsualOut(Output):
    """What a customer usually takes of one size."""

    cylinder_kg: CylinderKg
    quantity: Quantity


class CustomerOut(Output):
    """A customer."""

    id: RowId
    kind: CustomerKind
    name: str
    mobile: Annotated[str, Field(pattern="^09[0-9]{8}$")]
    landline: Annotated[str, Field(pattern="^0[2-8][0-9]{7,8}$")] | None
    tax_number: Annotated[str, Field(pattern="^[0-9]{8}$")] | None
    address: str
    further_addresses: list[PlaceOut]
    usual_cylinders: list[UsualOut]
    note: str | None
    version: Version
    created_at: Instant


class CustomerQuery(PageQuery):
    """Which customers to list; all of what is given must hold."""

    mobile: Mobile | None = None
    phone_ends: (
        Annotated[str, Field(pattern="^[0-9]{3,10}$", description="The last digits of the mobile or landline number")]
        | None
    ) = None
    address: Annotated[
        Annotated[Line, Field(min_length=2, max_length=50)] | None,
        Field(
            description="A part of any of the addresses, such as 民生西; blanks, 台 or 臺, 2段 or 二段 do not matter"
        ),
    ] = None


class ImportQuery(Query):
    """What to do with the file."""

    dry_run: Annotated[bool, Field(description="Only look for what is wrong with it")] = False


class ImportedOut(Output):
    """What became of the file."""

    lines: Annotated[int, Field(ge=1, description="How many customers are in it, all of them good")]
    created: Annotated[int, Field(ge=0, description="None in a dry run")]


class CustomerPage(Output):
    """Some customers, newest first."""

    items: list[CustomerOut]
    next_cursor: NextCursor


class DepositIn(Body):
    """A deposit paid in, or given back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount_twd": 1500, "note": "20 公斤一支"}]})

    amount_twd: Annotated[
        int,
        Field(ge=-HIGHEST_DEPOSIT_TWD, le=HIGHEST_DEPOSIT_TWD, description="Whole TWD; negative when it is given back"),
    ]
    driver_id: Annotated[RowId | None, Field(description="The driver whose cash it is; left out, it is the till's")] = (
        None
    )
    note: Annotated[Line, Field(max_length=200)] | None = None


class DepositOut(Output):
    """One change of what is held for a customer."""

    id: RowId
    amount_twd: int
    note: str | None
    by: str
    created_at: Instant


class DepositPage(Output):
    """Some of the changes, newest first."""

    items: list[DepositOut]
    next_cursor: NextCursor
    held_twd: Annotated[int, Field(ge=0, description="What is held now, whole TWD")]
