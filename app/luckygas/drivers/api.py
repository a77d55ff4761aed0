"""The routes of drivers."""

from collections.abc import Collection

from flask import url_for

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.drivers import service
from luckygas.drivers.models import Driver
from luckygas.drivers.schemas import DriverIn, DriverOut, DriverPage
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import PageQuery, page_of
from luckygas.web.versions import versioned

blueprint = Blueprint("drivers", __name__, url_prefix=f"{API}/drivers", tag="Drivers")


@blueprint.post("", auth=Permission.DRIVERS_WRITE)
@blueprint.input(DriverIn, arg_name="driver")
@idempotent
@blueprint.output(DriverOut, status_code=201)
def create(driver: DriverIn) -> tuple[Driver, int, dict[str, str]]:
    """Create a driver."""
    row = service.create(current_session(), driver=driver)
    return row, 201, {"Location": url_for(".read", driver_id=row.id)}


@blueprint.get("/<id:driver_id>", auth=Permission.DRIVERS_READ)
@blueprint.output(DriverOut)
def read(driver_id: int) -> Driver:
    """Read one driver."""
    return service.get(current_session(), driver_id=driver_id)


@blueprint.put("/<id:driver_id>", auth=Permission.DRIVERS_WRITE)
@blueprint.input(DriverIn, arg_name="driver")
@versioned
@blueprint.output(DriverOut)
def change(driver_id: int, driver: DriverIn, seen: Collection[int]) -> Driver:
    """Change a driver to what is given; refused if somebody else was faster."""
    return service.change(current_session(), driver_id=driver_id, driver=driver, seen=seen)


@blueprint.get("", auth=Permission.DRIVERS_READ, standby=True)
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(DriverPage)
def find(query: PageQuery) -> dict:
    """List drivers, newest first."""
    return page_of(query, lambda before_id, count: service.find(current_session(), before_id=before_id, count=count))
