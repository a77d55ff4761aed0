"""Where things are."""

from typing import Final

from werkzeug.routing import BaseConverter, ValidationError

API: Final = "/api/v1"
DOCUMENTATION: Final = f"{API}/docs"
SPECIFICATION: Final = f"{API}/openapi.json"

LARGEST_ID: Final = 2**63 - 1


class IdConverter(BaseConverter):
    """A row's id in a path; what the database could not hold is not found instead of an error."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """Return the id, or make the route not match."""
        if int(value) > LARGEST_ID:
            raise ValidationError
        return int(value)
