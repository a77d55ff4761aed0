"""Customers as a file: all of them out, and many at once in. What comes out can go in elsewhere."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Response
from pydantic import ValidationError

from luckygas.access import Permission
from luckygas.audit.recording import note
from luckygas.customers import service
from luckygas.customers.api import blueprint
from luckygas.customers.models import Customer
from luckygas.customers.schemas import CustomerIn, CustomerQuery, ImportedOut, ImportQuery
from luckygas.db.session import current_session
from luckygas.errors import FieldError, Invalid
from luckygas.taiwan import CYLINDER_SIZES_KG
from luckygas.web.fields import ExportQuery
from luckygas.web.spreadsheets import export, lines_of_request
from luckygas.web.validation import field_error

REQUIRED: Final = ("kind", "name", "mobile", "address")
WRITABLE: Final = (*REQUIRED, "landline", "tax_number", "note")
USUAL: Final = {f"usual_{kg}kg": kg for kg in CYLINDER_SIZES_KG}
COLUMNS: Final = ("id", *WRITABLE, *USUAL, "created_at")

# Excel takes a number for a number, and drops its leading zero.
_MOBILE_WITHOUT_ZERO: Final = re.compile("9[0-9]{8}")

_EXPORTED: Final = (
    f"{','.join(COLUMNS)}\r\n"
    "17,restaurant,阿明小吃店,0912345678,臺北市大同區民生西路 45 號,0225531234,04595257,後門送貨,,,,2,,"
    "2026-05-01T03:20:00+00:00\r\n"
)
_IMPORTED: Final = (
    "kind,name,mobile,address,usual_20kg\r\nrestaurant,阿明小吃店,0912-345-678,臺北市大同區民生西路 45 號,2\r\n"
)


@blueprint.get("/export", auth=Permission.EXPORTS_READ, csv_answer=_EXPORTED)
@blueprint.input(ExportQuery, location="query", arg_name="query")
def export_customers(query: ExportQuery) -> Response:
    """Get all customers as CSV, newest first, without their further addresses."""
    note(current_session(), action="exported", entity="customers", entity_id="all")
    return export(
        "customers",
        COLUMNS,
        fetch=lambda before_id, count: service.find(
            current_session(), query=CustomerQuery(), before_id=before_id, count=count
        ),
        cells=_cells,
        bom=query.bom,
    )


@blueprint.post("/import", auth=Permission.CUSTOMERS_WRITE, csv_body=_IMPORTED)
@blueprint.input(ImportQuery, location="query", arg_name="query")
@blueprint.output(ImportedOut)
def import_customers(query: ImportQuery) -> dict:
    """Create all customers of a CSV file, or none: every bad line is listed. `id` and `created_at` are ignored.

    Columns: kind, name, mobile and address, and if you like landline, tax_number, note and usual_4kg to usual_50kg.
    """
    lines = lines_of_request(COLUMNS, required=REQUIRED)
    new, errors = [], []
    for number, cells in lines:
        try:
            new.append(CustomerIn.model_validate_json(json.dumps(_body(cells))))
        except ValidationError as error:
            found = (field_error(finding, CustomerIn) for finding in error.errors(include_url=False))
            errors += [FieldError(f"line {number}: {_column(wrong.field, cells)}", wrong.message) for wrong in found]
    if errors:
        raise Invalid.because(*errors)
    try:
        created = service.create_many(current_session(), new=new, dry_run=query.dry_run)
    except Invalid as problem:
        raise Invalid.because(
            *(FieldError(f"line {lines[int(wrong.field)][0]}", wrong.message) for wrong in problem.errors)
        ) from None
    return {"lines": len(lines), "created": created}


def _cells(row: Customer) -> dict[str, Any]:
    usual = {usual.cylinder_kg: usual.quantity for usual in row.usual_cylinders}
    return {
        "id": row.id,
        **{name: getattr(row, name) for name in WRITABLE},
        **{name: usual.get(kg) for name, kg in USUAL.items()},
        "created_at": row.created_at.isoformat(),
    }


def _body(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return a line as the body that would create its customer."""
    body: dict[str, Any] = {name: cells[name] for name in WRITABLE if name in cells}
    if _MOBILE_WITHOUT_ZERO.fullmatch(body.get("mobile", "")):
        body["mobile"] = f"0{body['mobile']}"
    usual = [{"cylinder_kg": kg, "quantity": _whole(cells[name])} for name, kg in USUAL.items() if name in cells]
    return body | {"usual_cylinders": usual}


def _whole(cell: str) -> int | str:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 10 else cell  # noqa: PLR2004 - else it is refused


def _column(field: str, cells: Mapping[str, str]) -> str:
    """Return the column that a field of the body came from."""
    names = [name for name in USUAL if name in cells]
    match field.split("."):
        case ["usual_cylinders", index, *_]:
            return names[int(index)]
        case _:
            return field
