"""What can be done with routes. A route is locked before anything on it changes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from luckygas.access import Principal
from luckygas.billing import service as billing
from luckygas.customers import service as customers
from luckygas.cylinders import service as cylinders
from luckygas.deliveries.models import Outcome, Route, RouteStatus, Stop
from luckygas.deliveries.schemas import DeliverIn, RouteIn, RouteQuery
from luckygas.deliveries.sequence import plain
from luckygas.drivers import service as drivers
from luckygas.errors import FieldError, Invalid, NotFound, WrongState, in_field
from luckygas.jobs.queue import enqueue
from luckygas.orders import service as orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who does something, and when."""

    principal: Principal
    now: datetime
    today: date


def plan(session: Session, *, route: RouteIn, depot: str, by: str, today: date) -> Route:
    """Put placed orders on a new route, in a plain sequence at first; a job asks the route planner for a better one."""
    if route.day < today:
        raise Invalid.because(FieldError("day", f"{route.day} is over"))
    with in_field("driver_id"):
        driver = drivers.get(session, driver_id=route.driver_id)
    if not driver.is_active:
        raise WrongState(f"driver {driver.id} does not drive any more")
    found = orders.get_many(session, order_ids=route.order_ids)
    if len(found) != len(route.order_ids):
        raise Invalid.because(FieldError("order_ids", "one of them does not exist, or is given more than once"))
    row = Route(driver_id=driver.id, day=route.day)
    sequence = plain(depot, [order.delivery_address for order in found])
    row.stops = [Stop(order_id=found[index].id, position=at) for at, index in enumerate(sequence, start=1)]
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise WrongState(
            f"driver {driver.id} has a route on {route.day} already, or one of the orders is on another route"
        ) from None
    for order in found:
        orders.schedule(session, order_id=order.id, by=by)
    _check_capacity(session, row)
    enqueue(session, "deliveries.sequence", route_id=row.id)
    return row


def resequence(session: Session, *, route_id: int, order_ids: Sequence[int]) -> None:
    """Give a route that is still planned the planner's sequence; one that has changed meanwhile stays as it is."""
    row = _locked(session, route_id=route_id)
    stops = {stop.order_id: stop for stop in row.stops if stop.outcome == Outcome.OPEN}
    if row.status != RouteStatus.PLANNED or set(stops) != set(order_ids):
        return
    for position, order_id in enumerate(order_ids, start=1):
        stops[order_id].position = position
    row.sequenced_by = "google"
    session.flush()


def open_addresses(session: Session, *, route_id: int) -> dict[int, str]:
    """Return where the open orders of a planned route go, by order; nothing if it is not planned any more."""
    row = get(session, route_id=route_id)
    if row.status != RouteStatus.PLANNED:
        return {}
    wanted = [stop.order_id for stop in row.stops if stop.outcome == Outcome.OPEN]
    return {order.id: order.delivery_address for order in orders.get_many(session, order_ids=wanted)}


def start(session: Session, *, route_id: int, principal: Principal) -> Route:
    """Send a planned route out, all its orders with it."""
    row = _locked(session, route_id=route_id)
    drivers.check_acts_as(session, principal=principal, driver_id=row.driver_id)
    if row.status != RouteStatus.PLANNED:
        raise WrongState(f"route {row.id} is {row.status}: only a planned one can start")
    _check_capacity(session, row)
    row.status = RouteStatus.OUT
    for stop in sorted(row.stops, key=lambda stop: stop.order_id):
        if stop.outcome == Outcome.OPEN and not orders.is_cancelled(session, order_id=stop.order_id):
            orders.send_out(session, order_id=stop.order_id, by=principal.id)
            enqueue(session, "deliveries.announce", route_id=row.id, order_id=stop.order_id)
    session.flush()
    return row


def mobile_of_order_out(session: Session, *, order_id: int) -> str | None:
    """Return the number of whoever waits for an order, or None once it is not on its way any more."""
    order = orders.get(session, order_id=order_id)
    if order.status != orders.OrderStatus.OUT:
        return None
    return customers.get(session, customer_id=order.customer_id).mobile


def deliver(session: Session, *, route_id: int, order_id: int, handed: DeliverIn, act: Act) -> Route:
    """Hand an order over: full cylinders for empty ones, exactly as many of each size as were ordered, and money."""
    row, stop = _open_stop(session, route_id=route_id, order_id=order_id, principal=act.principal)
    by, today = act.principal.id, act.today
    order = orders.finish(session, order_id=order_id, by=by, note=handed.received_by)
    full = cylinders.exchange(
        session,
        handover=cylinders.Handover(
            driver_id=row.driver_id,
            customer_id=order.customer_id,
            order_id=order.id,
            delivered=handed.delivered,
            returned=handed.returned,
        ),
        by=by,
        today=today,
    )
    wanted: Counter[int] = Counter()
    for line in order.lines:
        wanted[line.cylinder_kg] += line.quantity
    if (given := Counter(cylinder.cylinder_kg for cylinder in full)) != wanted:
        raise Invalid.because(FieldError("delivered", f"{_listed(given)} is not what was ordered: {_listed(wanted)}"))
    money = billing.AtDoor(
        customer_id=order.customer_id,
        order_id=order.id,
        driver_id=row.driver_id,
        total_twd=order.total_twd,
        cash_twd=handed.cash_twd,
        deposit_twd=handed.deposit_twd,
        by_transfer=handed.by_transfer,
    )
    billing.settle_at_door(session, money=money, by=by, today=today)
    stop.settle(Outcome.DELIVERED, at=act.now, received_by=handed.received_by, note=handed.note)
    return _closed(session, row)


def fail(session: Session, *, route_id: int, order_id: int, reason: str, act: Act) -> Route:
    """Take an order off its route, so that it can be put on another one, unless it was cancelled meanwhile."""
    row, stop = _open_stop(session, route_id=route_id, order_id=order_id, principal=act.principal, out=False)
    if not orders.is_cancelled(session, order_id=order_id):
        orders.put_back(session, order_id=order_id, by=act.principal.id, note=reason)
    stop.settle(Outcome.FAILED, at=act.now, note=reason)
    return _closed(session, row)


def get(session: Session, *, route_id: int) -> Route:
    """Return one route, or raise `NotFound`."""
    row = session.get(Route, route_id)
    if row is None:
        raise NotFound(f"there is no route {route_id}")
    return row


def find(session: Session, *, query: RouteQuery, before_id: int, count: int) -> Sequence[Route]:
    """Return at most `count` routes with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Route).where(Route.id < before_id).order_by(Route.id.desc()).limit(count)
    for column in (Route.driver_id, Route.day):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    return session.scalars(statement).all()


def _locked(session: Session, *, route_id: int) -> Route:
    row = session.get(Route, route_id, with_for_update={"of": Route}, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no route {route_id}")
    return row


def _open_stop(
    session: Session, *, route_id: int, order_id: int, principal: Principal, out: bool = True
) -> tuple[Route, Stop]:
    row = _locked(session, route_id=route_id)
    drivers.check_acts_as(session, principal=principal, driver_id=row.driver_id)
    stop = next((stop for stop in row.stops if stop.order_id == order_id), None)
    if stop is None:
        raise NotFound(f"order {order_id} is not on route {route_id}")
    if stop.outcome != Outcome.OPEN:
        raise WrongState(f"order {order_id} on route {route_id} is {stop.outcome} already")
    if out and row.status != RouteStatus.OUT:
        raise WrongState(f"route {row.id} is {row.status}: start it first")
    return row, stop


def _closed(session: Session, row: Route) -> Route:
    """Close a route on which nothing is open any more."""
    if all(stop.outcome != Outcome.OPEN for stop in row.stops):
        row.status = RouteStatus.DONE
    session.flush()
    return row


def _check_capacity(session: Session, row: Route) -> None:
    open_ids = [stop.order_id for stop in row.stops if stop.outcome == Outcome.OPEN]
    kg = sum(order.gas_kg for order in orders.get_many(session, order_ids=open_ids))
    capacity = drivers.get(session, driver_id=row.driver_id).capacity_kg
    if kg > capacity:
        raise WrongState(f"the orders weigh {kg} kg, the truck of driver {row.driver_id} takes {capacity} kg")


def _listed(sizes: Counter[int]) -> str:
    return ", ".join(f"{count} x {kg} kg" for kg, count in sorted(sizes.items())) or "nothing"
