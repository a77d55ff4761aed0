"""Where things are."""

from typing import ClassVar, Final

from werkzeug.routing import BaseConverter, ValidationError

API: Final = "/api/v1"
DOCUMENTATION: Final = f"{API}/docs"
SPECIFICATION: Final = f"{API}/openapi.json"
STATIC: Final = "/static"

LARGEST_ID: Final = 2**63 - 1


class IdConverter(BaseConverter):
    """A row's id in a path; what the database could not hold is not found instead of an error."""

    regex = "[0-9]{1,19}"
    schema: ClassVar = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID, "examples": [17]}

    def to_python(self, value: str) -> int:
        """Return the id, or make the route not match."""
        if int(value) > LARGEST_ID:
            raise ValidationError
        return int(value)


class ShortIdConverter(BaseConverter):
    """An id that people read to each other: eight small letters and digits."""

    regex = "[0-9a-z]{8}"
    schema: ClassVar = {"type": "string", "pattern": "^[0-9a-z]{8}$", "examples": ["ab12cd34"]}
