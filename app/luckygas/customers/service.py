"""What can be done with customers."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final

from sqlalchemy import ColumnElement, Text, cast, func, or_, select, union
from sqlalchemy.orm import Session

from luckygas.customers.models import Customer, CustomerAddress, Deposit, UsualCylinders
from luckygas.customers.schemas import CustomerIn, CustomerQuery, DepositIn
from luckygas.drivers import service as drivers
from luckygas.errors import EditedMeanwhile, FieldError, Invalid, NotFound, WrongState, in_field
from luckygas.ledger import service as ledger

# Any number will do: whoever creates those that are not known yet waits for whoever else does.
_IMPORT_LOCK: Final = 0x637573746F6D6572


def create(session: Session, *, customer: CustomerIn) -> Customer:
    """Store a new customer and return it with its id."""
    row = Customer()
    _fill(row, customer)
    session.add(row)
    session.flush()
    return row


def create_many(session: Session, *, new: Sequence[CustomerIn], dry_run: bool) -> int:
    """Store all of them, or with `dry_run` none, and return how many; raises `Invalid` unless all can be stored.

    The fields of its errors are the places in `new`. Who has the name and the mobile number of somebody else is taken
    for the same customer.
    """
    session.execute(select(func.pg_advisory_xact_lock(_IMPORT_LOCK)))
    seen: dict[tuple[str, str], int] = {}
    known = _known(session, mobiles=[customer.mobile for customer in new])
    errors = []
    for place, customer in enumerate(new):
        key = (customer.name, customer.mobile)
        if key in known:
            errors.append(
                FieldError(str(place), f"{customer.name}, {customer.mobile} is customer {known[key]} already")
            )
        elif key in seen:
            errors.append(FieldError(str(place), f"{customer.name}, {customer.mobile} is there twice"))
        seen[key] = place
    if errors:
        raise Invalid.because(*errors)
    if dry_run:
        return 0
    for customer in new:
        row = Customer()
        _fill(row, customer)
        session.add(row)
    session.flush()
    return len(new)


def change(session: Session, *, customer_id: int, customer: CustomerIn, seen: Collection[int]) -> Customer:
    """Make a customer what `customer` says, unless somebody else changed it since it was seen."""
    row = lock(session, customer_id=customer_id)
    EditedMeanwhile.check(f"customer {row.id}", seen=seen, found=row.version)
    # What is not kept must be gone before something of the same key takes its place.
    row.further_addresses, row.usual_cylinders = [], []
    session.flush()
    _fill(row, customer)
    row.version += 1
    session.flush()
    return row


def lock(session: Session, *, customer_id: int) -> Customer:
    """Return one customer, whom nobody else changes and whose money nobody else moves meanwhile; or raise `NotFound`.

    Others may go on to write rows that refer to them, so two who did that first do not wait for each other here.
    """
    mode = {"of": Customer, "key_share": True}
    row = session.get(Customer, customer_id, with_for_update=mode, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no customer {customer_id}")
    return row


def get(session: Session, *, customer_id: int) -> Customer:
    """Return one customer, or raise `NotFound`."""
    row = session.get(Customer, customer_id)
    if row is None:
        raise NotFound(f"there is no customer {customer_id}")
    return row


def find(session: Session, *, query: CustomerQuery, before_id: int, count: int) -> Sequence[Customer]:
    """Return at most `count` customers with smaller ids than `before_id`, newest first, that `query` is about."""
    wanted: list[ColumnElement[bool]] = [Customer.id < before_id]
    if query.mobile is not None:
        wanted.append(Customer.mobile == query.mobile)
    if query.phone_ends is not None:
        start = f"{query.phone_ends[::-1]}%"
        wanted.append(or_(func.reverse(Customer.mobile).like(start), func.reverse(Customer.landline).like(start)))
    statement = select(Customer)
    if query.address is None:
        statement = statement.where(*wanted)
    else:
        # Each half stops by itself when it has enough, so that the commonest fragment costs no more than a rare one.
        own = select(Customer.id).where(*wanted, *_contains(Customer, query.address))
        further = (
            select(Customer.id)
            .join(CustomerAddress)
            .where(*wanted, *_contains(CustomerAddress, query.address))
            .group_by(Customer.id)
        )
        halves = (half.order_by(Customer.id.desc()).limit(count) for half in (own, further))
        statement = statement.where(
            Customer.id.in_(select(union(*(half.subquery().select() for half in halves)).subquery()))
        )
    return session.scalars(statement.order_by(Customer.id.desc()).limit(count)).all()


def kinds_after(session: Session, *, after_id: int, count: int) -> dict[int, str]:
    """Return the kinds of the `count` customers whose ids come after `after_id`, by id; of fewer at the end."""
    statement = select(Customer.id, Customer.kind).where(Customer.id > after_id).order_by(Customer.id).limit(count)
    return {customer_id: kind for customer_id, kind in session.execute(statement)}  # noqa: C416 - rows are no pairs


def sample(session: Session, *, kind: str, count: int) -> Sequence[int]:
    """Return at most `count` customers of a kind, the same ones each time, new and old mixed."""
    mixed = func.md5(cast(Customer.id, Text))
    return session.scalars(select(Customer.id).where(Customer.kind == kind).order_by(mixed).limit(count)).all()


def usual_of(session: Session, *, customer_ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """Return how many cylinders of each size those of these customers usually take who have told."""
    statement = select(UsualCylinders).where(UsualCylinders.customer_id.in_(customer_ids))
    found: dict[int, dict[int, int]] = {}
    for row in session.scalars(statement.order_by(UsualCylinders.customer_id, UsualCylinders.cylinder_kg)):
        found.setdefault(row.customer_id, {})[row.cylinder_kg] = row.quantity
    return found


def move_deposit(session: Session, *, customer_id: int, deposit: DepositIn, by: str, today: date) -> Deposit:
    """Take in or give back a deposit; never gives back more than is held."""
    if deposit.amount_twd == 0:
        raise Invalid.because(
            FieldError("amount_twd", "0 moves nothing: give what was paid, or negative what went back")
        )
    lock(session, customer_id=customer_id)
    if deposit.driver_id is not None:
        with in_field("driver_id"):
            drivers.get(session, driver_id=deposit.driver_id)
    held = held_deposit(session, customer_id=customer_id)
    if held + deposit.amount_twd < 0:
        raise WrongState(f"{held} TWD are held for customer {customer_id}: give back that much at most")
    row = Deposit(customer_id=customer_id, by=by, amount_twd=deposit.amount_twd, note=deposit.note)
    session.add(row)
    session.flush()
    moved = ledger.Deposit(
        deposit_id=row.id, customer_id=customer_id, amount_twd=row.amount_twd, driver_id=deposit.driver_id
    )
    ledger.move_deposit(session, deposit=moved, day=today, by=by)
    return row


def held_deposit(session: Session, *, customer_id: int) -> int:
    """Return what is held for a customer, whole TWD, which is what the books say."""
    return ledger.held_deposit(session, customer_id=customer_id)


def find_deposits(session: Session, *, customer_id: int, before_id: int, count: int) -> Sequence[Deposit]:
    """Return at most `count` changes of a customer's deposit with smaller ids than `before_id`, newest first."""
    statement = select(Deposit).where(Deposit.customer_id == customer_id, Deposit.id < before_id)
    return session.scalars(statement.order_by(Deposit.id.desc()).limit(count)).all()


def _fill(row: Customer, customer: CustomerIn) -> None:
    for name, value in customer.model_dump(exclude={"further_addresses", "usual_cylinders"}).items():
        setattr(row, name, value)
    row.further_addresses = [
        CustomerAddress(position=position, **place.model_dump())
        for position, place in enumerate(customer.further_addresses, start=1)
    ]
    row.usual_cylinders = [UsualCylinders(**usual.model_dump()) for usual in customer.usual_cylinders]


def _known(session: Session, *, mobiles: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return the ids of the customers with these numbers, by name and number."""
    statement = select(Customer.name, Customer.mobile, Customer.id).where(Customer.mobile.in_(set(mobiles)))
    return {(name, mobile): customer_id for name, mobile, customer_id in session.execute(statement)}


def _contains(of: type[Customer | CustomerAddress], fragment: str) -> list[ColumnElement[bool]]:
    """Return the conditions on an address: its pairs of characters, which are indexed, then their order."""
    return [
        func.address_pairs(of.address).bool_op("@>")(func.address_pairs(fragment)),
        func.strpos(of.__table__.c.address_key, func.address_key(fragment)) > 0,
    ]
