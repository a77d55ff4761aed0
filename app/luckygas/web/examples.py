"""Examples for the OpenAPI document, put together from what the schemas say and from one list of words.

So an example cannot be forgotten when a field is added, and a field is called the same and looks the same everywhere. A
schema that has examples of its own keeps them.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

type Schema = dict[str, Any]

# What a text of this name looks like; the schema tells everything else.
WORDS: Final[Mapping[str, str]] = {
    "account": "99781234567890",
    "action": "changed",
    "actor": "person:1",
    "address": "臺北市大同區民生西路 45 號",
    "agent": "Mozilla/5.0",
    "assigned_by": "person:1",
    "bank_id": "20260501-000017",
    "buyer": "04595257",
    "by": "person:1",
    "code": "not_found",
    "csrf_token": "0c1f6f5ad3be4b60a1a4f9d3a9c54d5e",
    "current": "three small green cups",
    "decided_by": "person:1",
    "delivery_address": "臺北市大同區民生西路 45 號",
    "detail": "there is no order 17",
    "differences": "order 17 was delivered and is in no sale",
    "entity": "customers",
    "entity_id": "17",
    "field": "lines.0.quantity",
    "instance": "/api/v1/orders/17",
    "key_id": "ab12cd34",
    "kind": "household",
    "label": "二店",
    "landline": "0225531234",
    "last_failure": "Away: einvoice answered 503",
    "login": "meiling",
    "message": "it is missing: add it",
    "mobile": "0912345678",
    "name": "陳美玲",
    "new": "four large yellow bowls",
    "note": "後門送貨",
    "number": "AB12345678",
    "origin": "192.0.2.7",
    "password": "w7az-bxrr-e4vy-mk2c",
    "pay_into": "99781234567890",
    "plate": "ABC-1234",
    "principal": "key:ab12cd34",
    "random_code": "1234",
    "reason": "客人出國",
    "reasons": "redis: no connection",
    "received_by": "王小明",
    "reference": "sale-17",
    "release": "0.1.0-1a2b3c4d",
    "replaces": "ef56gh78",
    "request_id": "7b0f6c0e9f6f4b0f8f6b2b1f0c9d8e7a",
    "scopes": "orders:read",
    "secret": "lg_live_ab12cd34_kbMWAYNfRbWQESDYH25csBIidiXzNEgzk5XF59WYoJv",
    "sequenced_by": "google",
    "serial": "LG20-000123",
    "status": "ok",
    "tax_number": "04595257",
    "title": "Not found",
    "type": "/api/v1/docs#not_found",
    "uri": "otpauth://totp/Lucky%20Gas:meiling?secret=GEZDGNBVGY3TQOJQ&issuer=Lucky%20Gas",
    "version": "0.1.0",
}
_FORMATS: Final = {"date": "2026-05-01", "date-time": "2026-05-01T03:20:00Z"}
_ID: Final = 17


class NoExample(LookupError):  # noqa: N818 - a finding
    """A field for which nobody knows what it looks like."""


def add(schemas: dict[str, Schema]) -> None:
    """Give every object among `schemas`, which are those of a document by name, an example.

    One with a text that nobody has described gets none: a test finds that, and the service starts all the same.
    """
    for name, schema in schemas.items():
        if "properties" in schema and "examples" not in schema:
            with suppress(NoExample):
                schema["examples"] = [of(schema, schemas, name=name)]


def of(schema: Schema, schemas: Mapping[str, Schema], *, name: str) -> Any:
    """Return an example of `schema`, which is called `name`, or raise `NoExample` for a text nobody has described."""
    if "$ref" in schema:
        return of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name=name)
    for found in ("examples", "enum"):
        if found in schema:
            return schema[found][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return of(schema["anyOf"][0], schemas, name=name)
    return _of_type(schema, schemas, name=name)


def _of_type(schema: Schema, schemas: Mapping[str, Schema], *, name: str) -> Any:
    match schema.get("type"):
        case "object":
            return {field: of(value, schemas, name=field) for field, value in schema.get("properties", {}).items()}
        case "array":
            return [of(schema["items"], schemas, name=name)]
        case "integer" | "number":
            return schema.get("default") or min(max(_ID, schema.get("minimum", 0)), schema.get("maximum", _ID))
        case "boolean":
            return schema.get("default", True)
        case "string" if schema.get("format") in _FORMATS or name in WORDS:
            return _FORMATS.get(schema.get("format")) or WORDS[name]
        case _:
            raise NoExample(f"{name}: say what it looks like in web/examples.py, or by Field(examples=[...])")
