"""The routes of orders."""

from flask import url_for

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.orders import service
from luckygas.orders.models import Order
from luckygas.orders.schemas import OrderIn, OrderOut, OrderPage, OrderQuery
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

blueprint = Blueprint("orders", __name__, url_prefix=f"{API}/orders", tag="Orders")


@blueprint.post("", auth=Permission.ORDERS_WRITE)
@blueprint.input(OrderIn, arg_name="order")
@idempotent
@blueprint.output(OrderOut, status_code=201)
def place(order: OrderIn) -> tuple[Order, int, dict[str, str]]:
    """Place an order; its prices stay as they are given here."""
    row = service.place(current_session(), order=order, today=resources().today())
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
        lambda before_id, count: service.find(
            current_session(),
            customer_id=query.customer_id,
            status=query.status,
            before_id=before_id,
            count=count,
        ),
    )
