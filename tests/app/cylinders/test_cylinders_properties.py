"""Whatever is done with cylinders and deposits, in whatever sequence: none is lost and every move is accounted for."""

import contextlib
from datetime import timedelta

from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from factories import TODAY, make_customer, make_cylinder, make_driver, make_order
from luckygas.customers import service as customers
from luckygas.customers.schemas import DepositIn
from luckygas.cylinders import service
from luckygas.cylinders.models import Cylinder, CylinderMove
from luckygas.errors import Problem
from luckygas.resources import Resources

ACTS = st.tuples(st.sampled_from(["load", "unload", "refill", "exchange"]), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(ACTS, max_size=12))
def test_cylinders_add_up(app: Flask, session: Session, acts: list[tuple[str, int, int]]) -> None:
    today = Resources.of(app).today()
    driver, order = make_driver(session).id, make_order(session)
    rows = [make_cylinder(session, is_full=number > 0) for number in range(3)]
    rows.append(make_cylinder(session, inspected_until=today - timedelta(days=1)))
    for act, one, other in acts:
        serials = [rows[one].serial]
        with contextlib.suppress(Problem), session.begin_nested():
            match act:
                case "load":
                    service.load(session, driver_id=driver, serials=serials, by="tests", today=today)
                case "unload":
                    service.unload(session, driver_id=driver, serials=serials, by="tests")
                case "refill":
                    service.refill(session, serials=serials, by="tests")
                case "exchange":
                    handover = service.Handover(
                        driver_id=driver, customer_id=order.customer_id, order_id=order.id,
                        delivered=serials, returned=[rows[other].serial],
                    )  # fmt: skip
                    service.exchange(session, handover=handover, by="tests", today=today)
    for row in session.scalars(select(Cylinder).where(Cylinder.id.in_([row.id for row in rows]))):
        moves = session.scalars(
            select(CylinderMove).where(CylinderMove.cylinder_id == row.id).order_by(CylinderMove.id)
        )
        last = list(moves)[-1]
        assert (last.place, last.driver_id, last.customer_id, last.is_full) == (
            row.place, row.driver_id, row.customer_id, row.is_full,
        )  # fmt: skip
        # What the law forbids has not happened.
        assert row.place == "depot" or not row.is_full or row.inspected_until >= today
    assert sum(item["count"] for item in service.stock(session)) == len(list(session.scalars(select(Cylinder.id))))


@given(st.lists(st.integers(-3000, 3000).filter(bool), max_size=10))
def test_deposits_add_up_and_are_never_owed(session: Session, amounts: list[int]) -> None:
    customer = make_customer(session).id
    held = 0
    for amount in amounts:
        with contextlib.suppress(Problem):
            customers.move_deposit(
                session, customer_id=customer, deposit=DepositIn(amount_twd=amount), by="tests", today=TODAY
            )
            held += amount
        assert held >= 0
    assert customers.held_deposit(session, customer_id=customer) == held
