"""What can be done with drivers."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.access import Principal, Role
from luckygas.accounts import service as accounts
from luckygas.drivers.models import Driver
from luckygas.drivers.schemas import DriverIn
from luckygas.errors import EditedMeanwhile, FieldError, Forbidden, Invalid, NotFound


def create(session: Session, *, driver: DriverIn) -> Driver:
    """Store a new driver and return them with their id."""
    _check_principal(session, principal=driver.principal, driver_id=None)
    row = Driver(**driver.model_dump())
    session.add(row)
    session.flush()
    return row


def change(session: Session, *, driver_id: int, driver: DriverIn, seen: Collection[int]) -> Driver:
    """Make a driver what `driver` says, unless somebody else changed them since they were seen."""
    row = lock(session, driver_id=driver_id)
    EditedMeanwhile.check(f"driver {row.id}", seen=seen, found=row.version)
    _check_principal(session, principal=driver.principal, driver_id=row.id)
    for name, value in driver.model_dump().items():
        setattr(row, name, value)
    row.version += 1
    session.flush()
    return row


def get(session: Session, *, driver_id: int) -> Driver:
    """Return one driver, or raise `NotFound`."""
    row = session.get(Driver, driver_id)
    if row is None:
        raise NotFound(f"there is no driver {driver_id}")
    return row


def lock(session: Session, *, driver_id: int) -> Driver:
    """Return one driver, whom nobody else changes and whose cash nobody else counts meanwhile; or raise `NotFound`."""
    mode = {"key_share": True}
    row = session.get(Driver, driver_id, with_for_update=mode, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no driver {driver_id}")
    return row


def find(session: Session, *, before_id: int, count: int) -> Sequence[Driver]:
    """Return at most `count` drivers with smaller ids than `before_id`, newest first."""
    statement = select(Driver).where(Driver.id < before_id).order_by(Driver.id.desc()).limit(count)
    return session.scalars(statement).all()


def check_acts_as(session: Session, *, principal: Principal, driver_id: int) -> None:
    """Raise `Forbidden` if the caller is a driver, but not this one. The office may act for all of them."""
    if principal.role is not Role.DRIVER:
        return
    theirs = get(session, driver_id=driver_id).principal
    # A driver whose key is rotated goes on with the new one, and meanwhile with both.
    if theirs != principal.id and theirs not in accounts.principals_like(session, principal=principal.id):
        raise Forbidden(f"this belongs to driver {driver_id}, whom {principal.id} is not: use that driver's key")


def _check_principal(session: Session, *, principal: str | None, driver_id: int | None) -> None:
    """Let nobody act as two drivers."""
    if principal is None:
        return
    names = accounts.principals_like(session, principal=principal)
    others = select(Driver.id).where(Driver.principal.in_(names), Driver.id.is_distinct_from(driver_id))
    if (other := session.scalar(others.limit(1))) is not None:
        raise Invalid.because(FieldError("principal", f"{principal} acts as driver {other} already"))
