"""Drivers as they travel."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from luckygas.taiwan import normalise_mobile
from luckygas.web.fields import Body, Instant, Line, Output, RowId, Version
from luckygas.web.pagination import NextCursor

_EXAMPLE = {"name": "林志強", "mobile": "0922-333-444", "plate": "RBC-2288", "capacity_kg": 1200}

CapacityKg = Annotated[int, Field(ge=1, le=20_000, description="Kilograms of gas that the truck may carry")]
PrincipalId = Annotated[
    Line, Field(max_length=100, description="Who acts as this driver, such as key:ab12cd34: the id of their API key")
]


class DriverIn(Body):
    """A driver to be created."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[Line, Field(max_length=100)]
    mobile: Annotated[
        str, Field(max_length=40, description="Taiwanese mobile number"), AfterValidator(normalise_mobile)
    ]
    plate: Annotated[Line, Field(max_length=10)]
    capacity_kg: CapacityKg
    principal: PrincipalId | None = None
    is_active: bool = True


class DriverOut(Output):
    """A driver."""

    id: RowId
    name: str
    mobile: str
    plate: str
    capacity_kg: CapacityKg
    principal: str | None
    is_active: bool
    version: Version
    created_at: Instant


class DriverPage(Output):
    """Some drivers, newest first."""

    items: list[DriverOut]
    next_cursor: NextCursor
