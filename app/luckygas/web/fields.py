"""The field types and model bases that the schemas of all domains are made of."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from luckygas.taiwan import CYLINDER_SIZES_KG
from luckygas.web.addresses import LARGEST_ID

# The largest order comes to 10^9 TWD, so no sum leaves the database's or JavaScript's integers.
MOST_CYLINDERS = 500


class Body(BaseModel):
    """A request body: unknown fields are refused, and nothing is converted (100 is a number, "100" is not)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A query string, in which every value arrives as text; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportQuery(Query):
    """What every export takes; an export adds its filters."""

    bom: Annotated[bool, Field(description="Begin with a byte order mark, by which Excel knows that it is UTF-8")] = (
        False
    )


class Output(BaseModel):
    """An answer, read from a model's attributes."""

    model_config = ConfigDict(from_attributes=True)


def _one_line(text: str) -> str:
    return _without_controls(text, allowed="")


def _several_lines(text: str) -> str:
    return _without_controls(text, allowed="\n")


def _without_controls(text: str, *, allowed: str) -> str:
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in allowed:
            raise ValueError(f"text with the control character U+{ord(character):04X}: take it out")
    return text


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment that no calendar has in UTC: take a later or an earlier one") from None


def _known_size(kg: int) -> int:
    if kg not in CYLINDER_SIZES_KG:
        raise ValueError(f"no cylinder size: use one of {', '.join(map(str, CYLINDER_SIZES_KG))}")
    return kg


def _plain_digits(value: object) -> object:
    """Leave only what a number looks like everywhere; pydantic alone would take 1_0, 1.0 and +1."""
    if isinstance(value, str) and not value.isdigit():
        raise ValueError("not a whole number: write digits alone")
    return value


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_one_line)]
"""Text on one line, stripped of outer blanks, not empty, without control characters."""

Lines = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_several_lines)]
"""Text that may have several lines, otherwise like `Line`."""

RowId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
"""The id of a row, in a body or an answer."""

PLAIN_DIGITS = BeforeValidator(_plain_digits)
"""For whole numbers in a query: ASCII digits alone."""

Instant = Annotated[datetime, AfterValidator(lambda instant: instant.astimezone(UTC))]
"""A point in time, in UTC, whatever time zone the database session had."""

InstantIn = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time that a caller gives, with its offset."""

# Not a Literal, which would take 4.0 for 4.
CylinderKg = Annotated[
    int,
    AfterValidator(_known_size),
    Field(description="Cylinder size, kilograms of gas", json_schema_extra={"enum": list(CYLINDER_SIZES_KG)}),
]
Quantity = Annotated[int, Field(ge=1, le=MOST_CYLINDERS, description="Number of cylinders")]
"""How many cylinders of one size somebody wants."""

Version = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="Grows with each change; a change names the one it saw, in If-Match")
]
"""What a change is held against, so that nobody overwrites what they have not seen."""
