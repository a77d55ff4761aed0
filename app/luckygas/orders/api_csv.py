"""Orders as a file."""

from typing import Any, Final

from flask import Response

from luckygas.access import Permission
from luckygas.audit.recording import note
from luckygas.db.session import current_session
from luckygas.orders import service
from luckygas.orders.api import blueprint
from luckygas.orders.models import Order
from luckygas.orders.schemas import OrderExportQuery, OrderQuery
from luckygas.taiwan import CYLINDER_SIZES_KG
from luckygas.web.spreadsheets import export

COLUMNS: Final = (
    "id",
    "placed_at",
    "customer_id",
    "status",
    "wanted_on",
    "delivery_address",
    *(f"quantity_{kg}kg" for kg in CYLINDER_SIZES_KG),
    "total_twd",
    "note",
)

_EXAMPLE: Final = (
    f"{','.join(COLUMNS)}\r\n"
    "17,2026-05-01T03:20:00+00:00,5,placed,2026-05-02,臺北市大同區民生西路 45 號,0,0,0,2,0,1700,先打電話\r\n"
)


@blueprint.get("/export", auth=Permission.EXPORTS_READ, csv_answer=_EXAMPLE)
@blueprint.input(OrderExportQuery, location="query", arg_name="query")
def export_orders(query: OrderExportQuery) -> Response:
    """Get orders as CSV, one a line, newest first: all of them, or those of a customer, a status or a day."""
    filters = query.model_dump(exclude={"bom"}, exclude_none=True)
    note(current_session(), action="exported", entity="orders", entity_id="all", details=filters)
    wanted = OrderQuery(**filters)
    return export(
        "orders",
        COLUMNS,
        fetch=lambda before_id, count: service.find(current_session(), query=wanted, before_id=before_id, count=count),
        cells=_cells,
        bom=query.bom,
    )


def _cells(row: Order) -> dict[str, Any]:
    quantities = dict.fromkeys(CYLINDER_SIZES_KG, 0)
    for line in row.lines:
        quantities[line.cylinder_kg] += line.quantity
    return {
        "id": row.id,
        "placed_at": row.placed_at.isoformat(),
        "customer_id": row.customer_id,
        "status": row.status,
        "wanted_on": row.wanted_on,
        "delivery_address": row.delivery_address,
        **{f"quantity_{kg}kg": quantity for kg, quantity in quantities.items()},
        "total_twd": row.total_twd,
        "note": row.note,
    }
