"""What can be done with orders."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.customers import service as customers
from luckygas.errors import FieldError, Invalid, NotFound
from luckygas.orders.models import Order, OrderLine, OrderStatus
from luckygas.orders.schemas import OrderIn

FURTHEST_AHEAD: Final = timedelta(days=366)


def place(session: Session, *, order: OrderIn, today: date) -> Order:
    """Store a new order and return it with its id. Raises `Invalid` for an unknown customer or an impossible day."""
    if order.wanted_on is not None and not today <= order.wanted_on <= today + FURTHEST_AHEAD:
        last = today + FURTHEST_AHEAD
        raise Invalid.because(FieldError("wanted_on", f"{order.wanted_on} is not between {today} and {last}"))
    try:
        customer = customers.get(session, customer_id=order.customer_id)
    except NotFound as error:
        raise Invalid.because(FieldError("customer_id", f"{error.detail}: create the customer first")) from None
    row = Order(
        customer_id=customer.id,
        delivery_address=order.delivery_address or customer.address,
        note=order.note,
        wanted_on=order.wanted_on,
        lines=[OrderLine(position=position, **line.model_dump()) for position, line in enumerate(order.lines, start=1)],
    )
    session.add(row)
    session.flush()
    return row


def get(session: Session, *, order_id: int) -> Order:
    """Return one order, or raise `NotFound`."""
    row = session.get(Order, order_id)
    if row is None:
        raise NotFound(f"there is no order {order_id}")
    return row


def find(
    session: Session, *, customer_id: int | None, status: OrderStatus | None, before_id: int, count: int
) -> Sequence[Order]:
    """Return at most `count` orders with smaller ids than `before_id`, newest first, of one customer or status."""
    statement = select(Order).where(Order.id < before_id).order_by(Order.id.desc()).limit(count)
    if customer_id is not None:
        statement = statement.where(Order.customer_id == customer_id)
    if status is not None:
        statement = statement.where(Order.status == status)
    return session.scalars(statement).all()
