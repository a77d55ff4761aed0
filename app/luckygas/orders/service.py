"""What can be done with orders. Every change of one locks it, holds against its version and is kept as an event."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from luckygas.access import Permission, Principal
from luckygas.customers import service as customers
from luckygas.errors import EditedMeanwhile, FieldError, Forbidden, Invalid, NotFound, WrongState, in_field
from luckygas.jobs.queue import enqueue
from luckygas.ledger import service as ledger
from luckygas.orders import prices
from luckygas.orders.models import EDITABLE, NEXT, OPEN, Order, OrderEvent, OrderLine, OrderStatus, Past
from luckygas.orders.schemas import OrderChange, OrderIn, OrderQuery

_RECENT: Final = text(
    "SELECT past.customer_id, past.id, CAST(past.placed_at AT TIME ZONE :zone AS date), past.status,"
    "       (SELECT sum(quantity * cylinder_kg) FROM order_lines WHERE order_id = past.id)"
    " FROM unnest(CAST(:ids AS bigint[])) AS wanted (id) CROSS JOIN LATERAL ("
    "    SELECT customer_id, id, placed_at, status FROM orders"
    "    WHERE customer_id = wanted.id AND status <> 'cancelled' AND placed_at >= CAST(:since AS date)"
    "    ORDER BY id DESC LIMIT :count"
    " ) AS past ORDER BY past.customer_id, past.id"
)

FURTHEST_AHEAD: Final = timedelta(days=366)

# Both read only what is open, or what one day brought, by an index: all orders of the past cost nothing.
_OPEN: Final = text("""
SELECT status, count(*) AS orders,
       min(greatest(placed_at, timezone(:zone, wanted_on + time '08:00')))
           FILTER (WHERE status = 'placed' AND (wanted_on IS NULL OR wanted_on <= :today)) AS waiting_since
FROM orders WHERE status IN ('placed', 'scheduled', 'out') GROUP BY status
""")
_DELIVERED: Final = text("""
SELECT count(DISTINCT orders.id) AS orders, coalesce(sum(quantity * unit_price_twd), 0) AS twd
FROM order_events
JOIN orders ON orders.id = order_events.order_id AND orders.status = 'delivered'
JOIN order_lines ON order_lines.order_id = orders.id
WHERE order_events.status = 'delivered' AND at > now() - interval '24 hours'
""")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to be done, and what the last 24 hours brought."""

    open: Mapping[str, int]
    waiting_since: datetime | None
    """Of the oldest order that is on no route: when it was placed, or 08:00 of the day for which it is wanted."""
    delivered: int
    revenue_twd: int


def place(session: Session, *, order: OrderIn, by: str, today: date) -> Order:
    """Store a new order and return it with its id. Raises `Invalid` for an unknown customer or an impossible day."""
    _check_day(order.wanted_on, today=today)
    with in_field("customer_id"):
        customer = customers.get(session, customer_id=order.customer_id)
    row = Order(
        customer_id=customer.id,
        delivery_address=order.delivery_address or customer.address,
        note=order.note,
        wanted_on=order.wanted_on,
        lines=prices.priced(session, lines=order.lines, day=today),
    )
    session.add(row)
    session.flush()
    _note(session, row, by=by)
    return row


def change(  # noqa: PLR0913 - each said by name
    session: Session, *, order_id: int, order: OrderChange, seen: Collection[int], by: str, today: date
) -> Order:
    """Make an order that is not on its way yet what `order` says. Prices of lines that name none are today's."""
    row = _locked(session, order_id=order_id)
    EditedMeanwhile.check(f"order {row.id}", seen=seen, found=row.version)
    if row.status not in EDITABLE:
        raise WrongState(f"order {row.id} is {row.status}: it can be changed only until it is out")
    if order.wanted_on != row.wanted_on:
        _check_day(order.wanted_on, today=today)
    # The old lines must be gone before new ones take their places.
    row.lines = []
    session.flush()
    row.lines = prices.priced(session, lines=order.lines, day=today)
    row.delivery_address, row.note, row.wanted_on = order.delivery_address, order.note, order.wanted_on
    row.version += 1
    session.flush()
    _note(session, row, by=by, note="changed")
    return row


def cancel(  # noqa: PLR0913 - each said by name
    session: Session, *, order_id: int, seen: Collection[int], principal: Principal, today: date, reason: str
) -> Order:
    """Cancel an order that is still as the caller saw it. What was delivered owes nothing any more.

    That undoes a sale, so it raises `Forbidden` for a caller who may not book money.
    """
    by = principal.id
    row = _locked(session, order_id=order_id)
    EditedMeanwhile.check(f"order {row.id}", seen=seen, found=row.version)
    if row.status == OrderStatus.DELIVERED:
        if not principal.may(Permission.BILLING_WRITE):
            raise Forbidden(
                f"order {row.id} was delivered: that needs {Permission.BILLING_WRITE}, so leave it to the office"
            )
        ledger.take_back(session, order_id=row.id, day=today, by=by, reason=reason)
        enqueue(session, "billing.invoice", lock=invoice_lock(row.id), order_id=row.id)
    return move(session, order_id=order_id, to=OrderStatus.CANCELLED, by=by, note=reason)


def invoice_lock(order_id: int) -> str:
    """Return the name under which the jobs of an order's invoice run one after the other."""
    return f"invoice-{order_id}"


def move(session: Session, *, order_id: int, to: OrderStatus, by: str, note: str | None = None) -> Order:
    """Bring an order to another status, or raise `WrongState` if that does not follow the one it is in."""
    row = _locked(session, order_id=order_id)
    if to not in NEXT[OrderStatus(row.status)]:
        raise WrongState(f"order {row.id} is {row.status}: it cannot become {to}")
    row.status = to
    row.version += 1
    session.flush()
    _note(session, row, by=by, note=note)
    return row


def schedule(session: Session, *, order_id: int, by: str) -> Order:
    """Note that an order is on a route."""
    return move(session, order_id=order_id, to=OrderStatus.SCHEDULED, by=by)


def send_out(session: Session, *, order_id: int, by: str) -> Order:
    """Note that an order is on its way."""
    return move(session, order_id=order_id, to=OrderStatus.OUT, by=by)


def put_back(session: Session, *, order_id: int, by: str, note: str) -> Order:
    """Note that an order is on no route any more."""
    return move(session, order_id=order_id, to=OrderStatus.PLACED, by=by, note=note)


def finish(session: Session, *, order_id: int, by: str, note: str) -> Order:
    """Note that an order was delivered."""
    return move(session, order_id=order_id, to=OrderStatus.DELIVERED, by=by, note=note)


def is_cancelled(session: Session, *, order_id: int) -> bool:
    """Tell whether an order was cancelled."""
    return _locked(session, order_id=order_id).status == OrderStatus.CANCELLED


def get(session: Session, *, order_id: int) -> Order:
    """Return one order, or raise `NotFound`."""
    row = session.get(Order, order_id)
    if row is None:
        raise NotFound(f"there is no order {order_id}")
    return row


def get_many(session: Session, *, order_ids: Sequence[int]) -> Sequence[Order]:
    """Return those of these orders that exist, the oldest first."""
    return session.scalars(select(Order).where(Order.id.in_(order_ids)).order_by(Order.id)).all()


def find(session: Session, *, query: OrderQuery, before_id: int, count: int) -> Sequence[Order]:
    """Return at most `count` orders with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Order).where(Order.id < before_id).order_by(Order.id.desc()).limit(count)
    for column in (Order.customer_id, Order.status, Order.wanted_on):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    return session.scalars(statement).all()


def recent(session: Session, *, customer_ids: Sequence[int], count: int, since: date, zone: ZoneInfo) -> list[Past]:
    """Return the newest `count` orders of each of these customers that were placed since a day and not cancelled.

    Those of one customer follow each other, the oldest first.
    """
    values = {"ids": list(customer_ids), "count": count, "since": since, "zone": zone.key}
    return [Past(*row) for row in session.execute(_RECENT, values)]


def newest(session: Session, *, customer_id: int) -> int | None:
    """Return the customer's newest order that was not cancelled."""
    theirs = select(Order.id).where(Order.customer_id == customer_id, Order.status != OrderStatus.CANCELLED)
    return session.scalar(theirs.order_by(Order.id.desc()).limit(1))


def sizes_of(session: Session, *, order_ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """Return how many cylinders of each size these orders are about."""
    found: dict[int, dict[int, int]] = {}
    for line in session.scalars(select(OrderLine).where(OrderLine.order_id.in_(order_ids))):
        sizes = found.setdefault(line.order_id, {})
        sizes[line.cylinder_kg] = sizes.get(line.cylinder_kg, 0) + line.quantity
    return found


def find_events(session: Session, *, order_id: int, before_id: int, count: int) -> Sequence[OrderEvent]:
    """Return at most `count` events of an order with smaller ids than `before_id`, newest first."""
    statement = select(OrderEvent).where(OrderEvent.order_id == order_id, OrderEvent.id < before_id)
    return session.scalars(statement.order_by(OrderEvent.id.desc()).limit(count)).all()


def backlog(session: Session, *, today: date, zone: ZoneInfo) -> Backlog:
    """Return how much there is to do, and since when; what is wanted on a later day does not wait."""
    rows = session.execute(_OPEN, {"today": today, "zone": zone.key}).all()
    counted = dict.fromkeys(sorted(OPEN), 0) | {row.status: row.orders for row in rows}
    delivered = session.execute(_DELIVERED).one()
    return Backlog(
        open=counted,
        waiting_since=next((row.waiting_since for row in rows if row.waiting_since), None),
        delivered=delivered.orders,
        revenue_twd=delivered.twd,
    )


def _locked(session: Session, *, order_id: int) -> Order:
    row = session.get(Order, order_id, with_for_update={"of": Order}, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no order {order_id}")
    return row


def _check_day(wanted_on: date | None, *, today: date) -> None:
    last = today + FURTHEST_AHEAD
    if wanted_on is not None and not today <= wanted_on <= last:
        raise Invalid.because(FieldError("wanted_on", f"{wanted_on} is not between {today} and {last}"))


def _note(session: Session, row: Order, *, by: str, note: str | None = None) -> None:
    session.add(OrderEvent(order_id=row.id, status=row.status, version=row.version, note=note, by=by))
    session.flush()
