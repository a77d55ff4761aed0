"""Deliveries to be paid for, through the service as a driver's telephone uses it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from factories import make_cylinder, make_driver, make_order
from luckygas.customers.models import Customer
from luckygas.cylinders import service as cylinders
from luckygas.drivers.models import Driver
from luckygas.resources import Resources


@pytest.fixture
def driver(session: Session) -> Driver:
    return make_driver(session)


@pytest.fixture
def deliver(app: Flask, client: FlaskClient, session: Session, driver: Driver) -> Callable[..., TestResponse]:
    """Deliver a new order of 1700 TWD to a customer, a new one if none is given; return the answer to the driver."""

    def go(customer: Customer | None, *, order: dict[str, Any] | None = None, **money: Any) -> TestResponse:
        placed = make_order(session, customer, **(order or {}))
        today = Resources.of(app).today()
        serials = [make_cylinder(session).serial for _ in range(2)]
        cylinders.load(session, driver_id=driver.id, serials=serials, by="tests", today=today)
        session.commit()
        body = {"driver_id": driver.id, "day": str(today), "order_ids": [placed.id]}
        route = client.post("/api/v1/routes", json=body).json
        client.post(f"/api/v1/routes/{route['id']}/start")
        body = {"delivered": serials, "received_by": "王太太"} | money
        answer = client.post(f"/api/v1/routes/{route['id']}/stops/{placed.id}/deliver", json=body)
        session.expire_all()
        return answer

    return go


@pytest.fixture
def account(client: FlaskClient) -> Callable[[Customer], dict[str, Any]]:
    """Read how a customer stands."""
    return lambda customer: client.get(f"/api/v1/customers/{customer.id}/account").json
