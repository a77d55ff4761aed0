"""The routes of cylinders."""

from flask import url_for

from luckygas.access import Permission
from luckygas.cylinders import service
from luckygas.cylinders.models import Cylinder
from luckygas.cylinders.schemas import (
    CylinderIn,
    CylinderOut,
    CylinderPage,
    CylinderQuery,
    InspectionIn,
    LoadIn,
    MovedOut,
    MovePage,
    RefillIn,
    StockListOut,
    UnloadIn,
)
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import PageQuery, page_of

blueprint = Blueprint("cylinders", __name__, url_prefix=f"{API}/cylinders", tag="Cylinders")


@blueprint.post("", auth=Permission.CYLINDERS_WRITE)
@blueprint.input(CylinderIn, arg_name="cylinder")
@idempotent
@blueprint.output(CylinderOut, status_code=201)
def register(cylinder: CylinderIn) -> tuple[Cylinder, int, dict[str, str]]:
    """Add a cylinder to the stock in the depot."""
    row = service.register(current_session(), cylinder=cylinder, by=current_principal().id)
    return row, 201, {"Location": url_for(".read", cylinder_id=row.id)}


@blueprint.get("/<id:cylinder_id>", auth=Permission.CYLINDERS_READ)
@blueprint.output(CylinderOut)
def read(cylinder_id: int) -> Cylinder:
    """Read one cylinder."""
    return service.get(current_session(), cylinder_id=cylinder_id)


@blueprint.get("", auth=Permission.CYLINDERS_READ, standby=True)
@blueprint.input(CylinderQuery, location="query", arg_name="query")
@blueprint.output(CylinderPage)
def find(query: CylinderQuery) -> dict:
    """List cylinders, newest first."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.get("/<id:cylinder_id>/moves", auth=Permission.CYLINDERS_READ)
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(MovePage)
def moves(cylinder_id: int, query: PageQuery) -> dict:
    """List where a cylinder was, newest first."""
    session = current_session()
    service.get(session, cylinder_id=cylinder_id)
    return page_of(
        query,
        lambda before_id, count: service.find_moves(session, cylinder_id=cylinder_id, before_id=before_id, count=count),
    )


@blueprint.put("/<id:cylinder_id>/inspection", auth=Permission.CYLINDERS_WRITE)
@blueprint.input(InspectionIn, arg_name="inspection")
@blueprint.output(CylinderOut)
def inspect(cylinder_id: int, inspection: InspectionIn) -> Cylinder:
    """Note that a cylinder passed its inspection."""
    return service.inspect(
        current_session(),
        cylinder_id=cylinder_id,
        inspected_until=inspection.inspected_until,
        today=resources().today(),
    )


@blueprint.post("/load", auth=Permission.CYLINDERS_WRITE, problems=[WrongState])
@blueprint.input(LoadIn, arg_name="body")
@idempotent
@blueprint.output(MovedOut)
def load(body: LoadIn) -> dict:
    """Put cylinders of the depot on a driver's truck; full ones need a valid inspection."""
    by, today = current_principal().id, resources().today()
    return {
        "items": service.load(current_session(), driver_id=body.driver_id, serials=body.serials, by=by, today=today)
    }


@blueprint.post("/unload", auth=Permission.CYLINDERS_WRITE, problems=[WrongState])
@blueprint.input(UnloadIn, arg_name="body")
@idempotent
@blueprint.output(MovedOut)
def unload(body: UnloadIn) -> dict:
    """Put what is on a driver's truck into the depot."""
    by = current_principal().id
    return {"items": service.unload(current_session(), driver_id=body.driver_id, serials=body.serials, by=by)}


@blueprint.post("/refill", auth=Permission.CYLINDERS_WRITE, problems=[WrongState])
@blueprint.input(RefillIn, arg_name="body")
@idempotent
@blueprint.output(MovedOut)
def refill(body: RefillIn) -> dict:
    """Fill empty cylinders of the depot."""
    return {"items": service.refill(current_session(), serials=body.serials, by=current_principal().id)}


@blueprint.get("/stock", auth=Permission.CYLINDERS_READ, standby=True)
@blueprint.output(StockListOut)
def stock() -> dict:
    """Count all cylinders by place, size and whether they are full."""
    items = resources().cache.remember(
        "cylinders.stock", of=Cylinder.__tablename__, compute=lambda: service.stock(current_session())
    )
    return {"items": items, "total": sum(item["count"] for item in items)}
