"""The routes that trucks drive, and what is handed over on them."""

from datetime import UTC, datetime

from flask import url_for

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.deliveries import service
from luckygas.deliveries.models import Route
from luckygas.deliveries.schemas import DeliverIn, FailIn, RouteIn, RouteOut, RoutePage, RouteQuery
from luckygas.errors import WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

blueprint = Blueprint("routes", __name__, url_prefix=f"{API}/routes", tag="Routes")


@blueprint.post("", auth=Permission.ROUTES_WRITE, problems=[WrongState])
@blueprint.input(RouteIn, arg_name="route")
@idempotent
@blueprint.output(RouteOut, status_code=201)
def plan(route: RouteIn) -> tuple[Route, int, dict[str, str]]:
    """Put placed orders on a new route of a driver."""
    held = resources()
    by, depot = current_principal().id, held.settings.depot_address
    row = service.plan(current_session(), route=route, depot=depot, by=by, today=held.today())
    return row, 201, {"Location": url_for(".read", route_id=row.id)}


@blueprint.get("/<id:route_id>", auth=Permission.ROUTES_READ)
@blueprint.output(RouteOut)
def read(route_id: int) -> Route:
    """Read one route."""
    return service.get(current_session(), route_id=route_id)


@blueprint.get("", auth=Permission.ROUTES_READ, standby=True)
@blueprint.input(RouteQuery, location="query", arg_name="query")
@blueprint.output(RoutePage)
def find(query: RouteQuery) -> dict:
    """List routes, newest first."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.post("/<id:route_id>/start", auth=Permission.DELIVERIES_WRITE, problems=[WrongState])
@blueprint.output(RouteOut)
def start(route_id: int) -> Route:
    """Send a planned route out, all its orders with it."""
    return service.start(current_session(), route_id=route_id, principal=current_principal())


@blueprint.post("/<id:route_id>/stops/<id:order_id>/deliver", auth=Permission.DELIVERIES_WRITE, problems=[WrongState])
@blueprint.input(DeliverIn, arg_name="handed")
@idempotent
@blueprint.output(RouteOut)
def deliver(route_id: int, order_id: int, handed: DeliverIn) -> Route:
    """Hand an order over: full cylinders for empty ones."""
    return service.deliver(current_session(), route_id=route_id, order_id=order_id, handed=handed, act=_act())


@blueprint.post("/<id:route_id>/stops/<id:order_id>/fail", auth=Permission.DELIVERIES_WRITE, problems=[WrongState])
@blueprint.input(FailIn, arg_name="body")
@idempotent
@blueprint.output(RouteOut)
def fail(route_id: int, order_id: int, body: FailIn) -> Route:
    """Take an order off its route, so that it can be put on another one."""
    return service.fail(current_session(), route_id=route_id, order_id=order_id, reason=body.reason, act=_act())


def _act() -> service.Act:
    return service.Act(principal=current_principal(), now=datetime.now(UTC), today=resources().today())
