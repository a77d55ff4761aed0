"""Things to test with: bodies as a caller sends them, rows as the services store them."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from luckygas.access import Role, Tier
from luckygas.accounts import passwords, people
from luckygas.accounts import service as accounts
from luckygas.accounts.keys import Key
from luckygas.accounts.models import Person
from luckygas.accounts.schemas import PersonIn
from luckygas.customers import service as customers
from luckygas.customers.models import Customer
from luckygas.customers.schemas import CustomerIn
from luckygas.cylinders import service as cylinders
from luckygas.cylinders.models import Cylinder
from luckygas.cylinders.schemas import CylinderIn
from luckygas.drivers import service as drivers
from luckygas.drivers.models import Driver
from luckygas.drivers.schemas import DriverIn
from luckygas.orders import service as orders
from luckygas.orders.models import Order
from luckygas.orders.schemas import OrderIn
from luckygas.resources import Resources

SECRETS = {
    "database_password": "test-database-password",
    "database_owner_password": "test-owner-password",
    "redis_password": "test-redis-password",
    "api_key_pepper": "test-pepper-of-at-least-32-characters",
}
PEPPER = SECRETS["api_key_pepper"]
PASSWORD = "three small green cups"  # noqa: S105
TODAY = date(2026, 5, 1)
GOOD_UNTIL = date(2099, 1, 1)

_numbers = itertools.count(1)


def customer_body(**changes: Any) -> dict[str, Any]:
    """Return a body that creates a customer."""
    number = next(_numbers)
    body = {
        "kind": "household",
        "name": f"王小明{number}",
        "mobile": f"09{number:08}",
        "address": f"臺北市大同區民生西路 {number} 號",
    }
    return body | changes


def order_body(customer_id: int, **changes: Any) -> dict[str, Any]:
    """Return a body that places an order of 1700 TWD."""
    lines = [{"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 850}]
    return {"customer_id": customer_id, "lines": lines} | changes


def make_customer(session: Session, **changes: Any) -> Customer:
    """Store a customer."""
    customer = CustomerIn.model_validate(customer_body(**changes), strict=False)
    return customers.create(session, customer=customer)


def make_order(session: Session, customer: Customer | None = None, **changes: Any) -> Order:
    """Store an order, of a new customer unless one is given."""
    customer = customer or make_customer(session)
    return orders.place(
        session, order=OrderIn.model_validate(order_body(customer.id, **changes)), by="tests", today=TODAY
    )


def make_driver(session: Session, **changes: Any) -> Driver:
    """Store a driver."""
    number = next(_numbers)
    body = {"name": f"林司機{number}", "mobile": f"09{number:08}", "plate": f"R-{number}", "capacity_kg": 1000}
    return drivers.create(session, driver=DriverIn.model_validate(body | changes))


def make_cylinder(session: Session, **changes: Any) -> Cylinder:
    """Store a full cylinder of 20 kg in the depot, with an inspection that is good for years."""
    body = {"serial": f"LG-{next(_numbers):06}", "cylinder_kg": 20, "inspected_until": GOOD_UNTIL, "is_full": True}
    return cylinders.register(session, cylinder=CylinderIn.model_validate(body | changes, strict=False), by="tests")


def make_person(session: Session, *, role: Role = Role.DISPATCHER, password: str = PASSWORD, **changes: Any) -> Person:
    """Store a person who has chosen a password of their own."""
    body = PersonIn(login=f"person-{next(_numbers)}", name="陳美玲", role=role)
    row, _ = people.create(session, person=body)
    row.password_hash, row.must_change_password = passwords.digest(password), False
    for name, value in changes.items():
        setattr(row, name, value)
    session.flush()
    return row


def new_client(app: Flask) -> FlaskClient:
    """Return a client of a principal that did nothing yet and may do everything; its key is committed."""
    with Resources.of(app).sessions.begin() as session:
        key = make_key(session).reveal()
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def make_key(
    session: Session, *, role: Role = Role.ADMIN, tier: Tier = Tier.ENTERPRISE, name: str = "tests", days: int = 90
) -> Key:
    """Store an API key that is usable for some days, or has not been since."""
    expires_at = datetime.now(UTC) + timedelta(days=days)
    return accounts.create_key(session, pepper=PEPPER, name=name, role=role, tier=tier, expires_at=expires_at)
