"""The price list."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from luckygas.errors import FieldError, Invalid
from luckygas.orders.models import OrderLine, Price
from luckygas.orders.schemas import OrderLineIn, PriceIn


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


def priced(session: Session, *, lines: Sequence[OrderLineIn], day: date) -> list[OrderLine]:
    """Return the lines as they are stored: each with a price, its own or that of the list on a day."""
    open_sizes = {line.cylinder_kg for line in lines if line.unit_price_twd is None}
    listed = on(session, day=day, sizes=open_sizes) if open_sizes else {}
    if missing := open_sizes - set(listed):
        raise Invalid.because(
            *(
                FieldError(f"lines.{at}.unit_price_twd", f"the list has no price for {line.cylinder_kg} kg: give one")
                for at, line in enumerate(lines)
                if line.cylinder_kg in missing and line.unit_price_twd is None
            )
        )
    return [
        OrderLine(
            position=position,
            cylinder_kg=line.cylinder_kg,
            quantity=line.quantity,
            unit_price_twd=listed[line.cylinder_kg] if line.unit_price_twd is None else line.unit_price_twd,
        )
        for position, line in enumerate(lines, start=1)
    ]
