"""The field types and model bases that the schemas of all domains are made of."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from luckygas.web.addresses import LARGEST_ID


class Body(BaseModel):
    """A request body: unknown fields are refused, and nothing is converted (100 is a number, "100" is not)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A query string, in which every value arrives as text; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
