"""What can be done with cylinders. All moves go through `_move`, which locks what it moves."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from luckygas.cylinders.models import Cylinder, CylinderMove, Place, Whereabouts
from luckygas.cylinders.schemas import CylinderIn, CylinderQuery
from luckygas.drivers import service as drivers
from luckygas.errors import FieldError, Invalid, NotFound, WrongState, in_field

_DEPOT = Whereabouts(Place.DEPOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a driver leaves with a customer for an order and what they take back, by serial number."""

    driver_id: int
    customer_id: int
    order_id: int
    delivered: Sequence[str]
    returned: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """How many cylinders of a size went to a customer for an order, and how many came back."""

    order_id: int
    cylinder_kg: int
    delivered: int
    returned: int


def register(session: Session, *, cylinder: CylinderIn, by: str) -> Cylinder:
    """Add a cylinder to the stock in the depot. Raises `Invalid` for a serial that is known already."""
    row = Cylinder(place=Place.DEPOT, **cylinder.model_dump())
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Invalid.because(FieldError("serial", f"{cylinder.serial} is registered already")) from None
    session.add(_entry(row, by=by, order_id=None))
    session.flush()
    return row


def get(session: Session, *, cylinder_id: int) -> Cylinder:
    """Return one cylinder, or raise `NotFound`."""
    row = session.get(Cylinder, cylinder_id)
    if row is None:
        raise NotFound(f"there is no cylinder {cylinder_id}")
    return row


def find(session: Session, *, query: CylinderQuery, before_id: int, count: int) -> Sequence[Cylinder]:
    """Return at most `count` cylinders with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Cylinder).where(Cylinder.id < before_id).order_by(Cylinder.id.desc()).limit(count)
    for column in (Cylinder.serial, Cylinder.place, Cylinder.driver_id, Cylinder.customer_id):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    if query.inspected_before is not None:
        statement = statement.where(Cylinder.inspected_until < query.inspected_before)
    return session.scalars(statement).all()


def find_moves(session: Session, *, cylinder_id: int, before_id: int, count: int) -> Sequence[CylinderMove]:
    """Return at most `count` moves of a cylinder with smaller ids than `before_id`, newest first."""
    statement = select(CylinderMove).where(CylinderMove.cylinder_id == cylinder_id, CylinderMove.id < before_id)
    return session.scalars(statement.order_by(CylinderMove.id.desc()).limit(count)).all()


def load(session: Session, *, driver_id: int, serials: Sequence[str], by: str, today: date) -> list[Cylinder]:
    """Put cylinders of the depot on a driver's truck. Full ones need an inspection that is valid today."""
    with in_field("driver_id"):
        drivers.get(session, driver_id=driver_id)
    rows = _locked(session, serials=serials, where=_DEPOT)
    _check_inspection(rows, today)
    return _move(session, rows, to=Whereabouts(Place.TRUCK, driver_id=driver_id), by=by)


def unload(session: Session, *, driver_id: int, serials: Sequence[str], by: str) -> list[Cylinder]:
    """Put what is on a driver's truck into the depot."""
    rows = _locked(session, serials=serials, where=Whereabouts(Place.TRUCK, driver_id=driver_id))
    return _move(session, rows, to=_DEPOT, by=by)


def refill(session: Session, *, serials: Sequence[str], by: str) -> list[Cylinder]:
    """Fill empty cylinders of the depot."""
    rows = _locked(session, serials=serials, where=_DEPOT)
    _check(rows, lambda row: not row.is_full, "full already")
    return _move(session, _filled(rows, is_full=True), to=_DEPOT, by=by)


def exchange(session: Session, *, handover: Handover, by: str, today: date) -> list[Cylinder]:
    """Hand full cylinders over from a truck to a customer, and take the customer's back as empty ones.

    Returns those delivered. Raises `WrongState` if one is elsewhere, for instance because somebody else was faster, is
    empty, or has an inspection that has ended.
    """
    truck = Whereabouts(Place.TRUCK, driver_id=handover.driver_id)
    home = Whereabouts(Place.CUSTOMER, customer_id=handover.customer_id)
    full = _locked(session, serials=handover.delivered, where=truck)
    _check(full, lambda row: row.is_full, "empty")
    _check_inspection(full, today)
    _move(session, full, to=home, by=by, order_id=handover.order_id)
    if handover.returned:
        empty = _locked(session, serials=handover.returned, where=home)
        _check(empty, lambda row: row.serial not in handover.delivered, "delivered and returned at once")
        _move(session, _filled(empty, is_full=False), to=truck, by=by, order_id=handover.order_id)
    return full


def exchanged(session: Session, *, order_ids: Sequence[int]) -> Sequence[Exchanged]:
    """Count what was delivered and taken back for each of these orders, by size."""
    delivered = func.count().filter(CylinderMove.place == Place.CUSTOMER)
    returned = func.count().filter(CylinderMove.place == Place.TRUCK)
    statement = (
        select(CylinderMove.order_id, Cylinder.cylinder_kg, delivered, returned)
        .join(Cylinder)
        .where(CylinderMove.order_id.in_(order_ids))
        .group_by(CylinderMove.order_id, Cylinder.cylinder_kg)
    )
    return [
        Exchanged(order_id=order_id, cylinder_kg=kg, delivered=out, returned=back)
        for order_id, kg, out, back in session.execute(statement)
    ]


def inspect(session: Session, *, cylinder_id: int, inspected_until: date, today: date) -> Cylinder:
    """Note that a cylinder passed its inspection, until a day to come."""
    row = session.get(Cylinder, cylinder_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no cylinder {cylinder_id}")
    if inspected_until < today:
        raise Invalid.because(
            FieldError("inspected_until", f"{inspected_until} is over: give the day it is good until")
        )
    row.inspected_until = inspected_until
    session.flush()
    return row


def stock(session: Session) -> list[dict]:
    """Count all cylinders by place, size and whether they are full."""
    kinds = (Cylinder.place, Cylinder.cylinder_kg, Cylinder.is_full)
    rows = session.execute(select(*kinds, func.count()).group_by(*kinds).order_by(*kinds))
    return [
        {"place": place, "cylinder_kg": kg, "state": "full" if is_full else "empty", "count": count}
        for place, kg, is_full, count in rows
    ]


def _locked(session: Session, *, serials: Sequence[str], where: Whereabouts) -> list[Cylinder]:
    """Return these cylinders, locked in one order whoever asks, or say which are unknown or elsewhere."""
    statement = select(Cylinder).where(Cylinder.serial.in_(serials)).order_by(Cylinder.id).with_for_update()
    rows = list(session.scalars(statement, execution_options={"populate_existing": True}))
    unknown = sorted(set(serials) - {row.serial for row in rows})
    if unknown or len(serials) != len(rows):
        problem = f"there is no cylinder {', '.join(unknown)}" if unknown else "a serial is given more than once"
        raise Invalid.because(FieldError("serials", problem))
    elsewhere = [f"{row.serial} is {row.whereabouts}" for row in rows if row.whereabouts != where]
    if elsewhere:
        raise WrongState(f"not all of them are {where}: {', '.join(elsewhere)}")
    return rows


def _check(rows: Iterable[Cylinder], is_right: Callable[[Cylinder], bool], otherwise: str) -> None:
    wrong = [row.serial for row in rows if not is_right(row)]
    if wrong:
        raise WrongState(f"{', '.join(wrong)}: {otherwise}")


def _check_inspection(rows: Iterable[Cylinder], today: date) -> None:
    full = [row for row in rows if row.is_full]
    _check(full, lambda row: row.inspected_until >= today, "the inspection has ended, the law forbids delivering it")


def _filled(rows: list[Cylinder], *, is_full: bool) -> list[Cylinder]:
    for row in rows:
        row.is_full = is_full
    return rows


def _move(
    session: Session, rows: list[Cylinder], *, to: Whereabouts, by: str, order_id: int | None = None
) -> list[Cylinder]:
    for row in rows:
        row.place, row.driver_id, row.customer_id = to.place, to.driver_id, to.customer_id
        session.add(_entry(row, by=by, order_id=order_id))
    session.flush()
    return rows


def _entry(row: Cylinder, *, by: str, order_id: int | None) -> CylinderMove:
    return CylinderMove(
        cylinder_id=row.id,
        place=row.place,
        driver_id=row.driver_id,
        customer_id=row.customer_id,
        is_full=row.is_full,
        order_id=order_id,
        by=by,
    )
