"""What can be done with customers."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.customers.models import Customer
from luckygas.customers.schemas import CustomerIn
from luckygas.errors import NotFound


def create(session: Session, *, customer: CustomerIn) -> Customer:
    """Store a new customer and return it with its id."""
    row = Customer(**customer.model_dump())
    session.add(row)
    session.flush()
    return row


def get(session: Session, *, customer_id: int) -> Customer:
    """Return one customer, or raise `NotFound`."""
    row = session.get(Customer, customer_id)
    if row is None:
        raise NotFound(f"there is no customer {customer_id}")
    return row


def find(session: Session, *, mobile: str | None, before_id: int, count: int) -> Sequence[Customer]:
    """Return at most `count` customers with smaller ids than `before_id`, newest first, of one mobile number or all."""
    statement = select(Customer).where(Customer.id < before_id).order_by(Customer.id.desc()).limit(count)
    if mobile is not None:
        statement = statement.where(Customer.mobile == mobile)
    return session.scalars(statement).all()
