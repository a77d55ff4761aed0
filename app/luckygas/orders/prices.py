"""The price list."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from luckygas.errors import FieldError, Invalid
from luckygas.orders.models import Price
from luckygas.orders.schemas import PriceIn


def add(session: Session, *, price: PriceIn, by: str, today: date) -> Price:
    """Put a price on the list, from today at the earliest."""
    if price.valid_from < today:
        raise Invalid.because(FieldError("valid_from", f"{price.valid_from} is over: prices change from {today} on"))
    row = Price(by=by, **price.model_dump())
    session.add(row)
    session.flush()
    return row


def find(session: Session, *, before_id: int, count: int) -> Sequence[Price]:
    """Return at most `count` prices with smaller ids than `before_id`, the latest entry first."""
    return session.scalars(select(Price).where(Price.id < before_id).order_by(Price.id.desc()).limit(count)).all()


def on(session: Session, *, day: date, sizes: Iterable[int]) -> dict[int, int]:
    """Return what each of these sizes costs on a day, as far as the list says."""
    statement = (
        select(Price.cylinder_kg, Price.unit_price_twd)
        .ext(distinct_on(Price.cylinder_kg))
        .where(Price.cylinder_kg.in_(set(sizes)), Price.valid_from <= day)
        .order_by(Price.cylinder_kg, Price.valid_from.desc(), Price.id.desc())
    )
    return {kg: price for kg, price in session.execute(statement)}  # noqa: C416 - rows are not pairs to dict()
