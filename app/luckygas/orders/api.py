"""The routes of orders."""

from collections.abc import Collection

from flask import url_for

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.orders import prices, service
from luckygas.orders.models import Order, Price
from luckygas.orders.schemas import (
    CancelIn,
    OrderChange,
    OrderEventPage,
    OrderIn,
    OrderOut,
    OrderPage,
    OrderQuery,
    PriceIn,
    PriceOut,
    PricePage,
)
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import PageQuery, page_of
from luckygas.web.versions import versioned

blueprint = Blueprint("orders", __name__, url_prefix=f"{API}/orders", tag="Orders")
prices_blueprint = Blueprint("prices", __name__, url_prefix=f"{API}/prices", tag="Prices")


@blueprint.post("", auth=Permission.ORDERS_WRITE)
@blueprint.input(OrderIn, arg_name="order")
@idempotent
@blueprint.output(OrderOut, status_code=201)
def place(order: OrderIn) -> tuple[Order, int, dict[str, str]]:
    """Place an order; its prices, given here or those of the list, never change after."""
    by, today = current_principal().id, resources().today()
    row = service.place(current_session(), order=order, by=by, today=today)
    return row, 201, {"Location": url_for(".read", order_id=row.id)}


@blueprint.get("/<id:order_id>", auth=Permission.ORDERS_READ)
@blueprint.output(OrderOut)
def read(order_id: int) -> Order:
    """Read one order."""
    return service.get(current_session(), order_id=order_id)


@blueprint.get("", auth=Permission.ORDERS_READ, standby=True)
@blueprint.input(OrderQuery, location="query", arg_name="query")
@blueprint.output(OrderPage)
def find(query: OrderQuery) -> dict:
    """List orders, newest first."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.put("/<id:order_id>", auth=Permission.ORDERS_WRITE, problems=[WrongState])
@blueprint.input(OrderChange, arg_name="order")
@versioned
@blueprint.output(OrderOut)
def change(order_id: int, order: OrderChange, seen: Collection[int]) -> Order:
    """Change an order that is not out yet; refused if somebody else was faster."""
    by, today = current_principal().id, resources().today()
    return service.change(current_session(), order_id=order_id, order=order, seen=seen, by=by, today=today)


@blueprint.post("/<id:order_id>/cancel", auth=Permission.ORDERS_WRITE, problems=[WrongState])
@blueprint.input(CancelIn, arg_name="body")
@idempotent
@versioned
@blueprint.output(OrderOut)
def cancel(order_id: int, body: CancelIn, seen: Collection[int]) -> Order:
    """Cancel an order; one that was delivered owes nothing any more, and that takes `billing:write` as well."""
    session, today = current_session(), resources().today()
    return service.cancel(
        session, order_id=order_id, seen=seen, principal=current_principal(), today=today, reason=body.reason
    )


@blueprint.get("/<id:order_id>/events", auth=Permission.ORDERS_READ)
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(OrderEventPage)
def events(order_id: int, query: PageQuery) -> dict:
    """List what happened to an order, newest first."""
    session = current_session()
    service.get(session, order_id=order_id)
    return page_of(
        query,
        lambda before_id, count: service.find_events(session, order_id=order_id, before_id=before_id, count=count),
    )


@prices_blueprint.post("", auth=Permission.PRICES_WRITE)
@prices_blueprint.input(PriceIn, arg_name="price")
@idempotent
@prices_blueprint.output(PriceOut, status_code=201)
def add_price(price: PriceIn) -> tuple[Price, int]:
    """Put a price on the list, from today or a later day on."""
    by, today = current_principal().id, resources().today()
    return prices.add(current_session(), price=price, by=by, today=today), 201


@prices_blueprint.get("", auth=Permission.ORDERS_READ, standby=True)
@prices_blueprint.input(PageQuery, location="query", arg_name="query")
@prices_blueprint.output(PricePage)
def find_prices(query: PageQuery) -> dict:
    """List prices, the latest entry first."""
    return page_of(query, lambda before_id, count: prices.find(current_session(), before_id=before_id, count=count))
