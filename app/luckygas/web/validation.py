"""Bodies and queries through pydantic, its findings as one `Problem`.

APIFlask keeps its decorators and its OpenAPI document; only the reading is ours, since its own goes through Python
objects, where "100", 100.0 and true pass for whole numbers, and does not look at the content type.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, override

from apiflask.schema_adapters import registry
from apiflask.schema_adapters.pydantic import PydanticAdapter
from flask import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from luckygas.errors import FieldError, Invalid, MalformedRequest, UnsupportedMediaType

_MOST_ERRORS: Final = 20
_MOST_CHARACTERS: Final = 60


class StrictAdapter(PydanticAdapter):
    """Reads a body from its bytes in pydantic's strict JSON mode, and a query without repeated parameters."""

    @override
    def validate_input(self, request: Request, location: str, **kwargs: Any) -> BaseModel:
        try:
            if location == "json":
                return self.model_class.model_validate_json(_json_bytes(request))
            return self.model_class.model_validate(_single_values(request))
        except ValidationError as error:
            raise self._problem(error.errors(include_url=False)) from None

    def _problem(self, findings: Sequence[ErrorDetails]) -> MalformedRequest | Invalid:
        first = findings[0]
        if first["type"] == "json_invalid":
            return MalformedRequest(f"the body is not valid JSON: {first['ctx']['error']}")
        return Invalid.because(*(field_error(finding, self.model_class) for finding in findings[:_MOST_ERRORS]))


def field_error(finding: ErrorDetails, model: type[BaseModel]) -> FieldError:
    """Return what pydantic found in a `model` as one refused value."""
    path = finding["loc"]
    match finding["type"]:
        case "missing":
            message = "it is missing: add it"
        case "extra_forbidden" if len(path) == 1:
            known = ", ".join(model.model_fields)
            message = f"there is no such field: leave it out, or use one of {known}"
        case "extra_forbidden":
            message = "there is no such field: leave it out"
        case "value_error":
            message = f"{shown(finding['input'])} is {finding['ctx']['error']}"
        case _:
            message = f"{finding['msg']}, not {shown(finding['input'])}"
    return FieldError(".".join(map(str, path)) or "body", message)


def shown(value: object) -> str:
    """Return `value` as a short piece of JSON for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:
        # Python refuses to print whole numbers of thousands of digits.
        return "a number of that size"
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _json_bytes(request: Request) -> bytes:
    if request.mimetype != "application/json":
        found = f"not as {shown(request.mimetype)}" if request.mimetype else "and say so"
        raise UnsupportedMediaType(f"send the body as JSON {found}: Content-Type: application/json")
    body = request.get_data()
    # Of a body that does not state its length, Werkzeug cuts off what exceeds the limit without a word.
    if request.content_length is None and len(body) == request.max_content_length:
        raise RequestEntityTooLarge
    return body


def _single_values(request: Request) -> dict[str, str]:
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise Invalid.because(*(FieldError(name, "it is given more than once: give it once") for name in repeated))
    return request.args.to_dict()


def register() -> None:
    """Make APIFlask read all pydantic models this way; its registry is one per process, and decorators look into it."""
    registry.register("pydantic", StrictAdapter)
