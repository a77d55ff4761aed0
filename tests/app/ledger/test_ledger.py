from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from factories import TODAY, make_customer, make_driver, make_order
from luckygas.customers.models import Customer
from luckygas.ledger import service
from luckygas.ledger.models import Account, EntryKind

PATH = "/api/v1/ledger"


def sell(session: Session, customer: Customer | None = None, *, total_twd: int = 1700) -> service.Entry:
    order = make_order(session, customer)
    sale = service.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=total_twd)
    return service.sell(session, sale=sale, day=TODAY, by="tests")


def pay(session: Session, customer_id: int, amount_twd: int) -> service.Entry:
    booking = service.Booking(
        kind=EntryKind.PAYMENT, day=TODAY, by="tests",
        lines=[
            service.Line.cash(amount_twd, driver_id=None),
            service.Line(account=Account.RECEIVABLE, amount_twd=-amount_twd, customer_id=customer_id),
        ],
    )  # fmt: skip
    return service.post(session, booking=booking)


def test_what_does_not_come_to_zero_is_refused_before_it_is_written(session: Session) -> None:
    booking = service.Booking(
        kind=EntryKind.PAYMENT, day=TODAY, by="tests", lines=[service.Line(account=Account.BANK, amount_twd=1)]
    )
    with pytest.raises(ValueError, match="come to 1, not to 0"):
        service.post(session, booking=booking)
    assert session.scalar(text("SELECT count(*) FROM ledger_entries")) == 0


@pytest.mark.parametrize("amounts", [(5,), (5, -4), (5, -5, 1)])
def test_the_database_refuses_it_as_well(session: Session, amounts: tuple[int, ...]) -> None:
    entry = sell(session)
    rows = ", ".join(f"({entry.id}, {position}, 'bank', {amount})" for position, amount in enumerate(amounts, start=5))
    with pytest.raises(IntegrityError, match="do not come to zero"), session.begin_nested():
        session.connection().execute(
            text(f"INSERT INTO ledger_lines (entry_id, position, account, amount_twd) VALUES {rows}")  # noqa: S608
        )


@pytest.mark.parametrize("statement", ["UPDATE ledger_lines SET amount_twd = 1", "DELETE FROM ledger_entries"])
def test_what_is_booked_is_never_changed(session: Session, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), session.begin_nested():
        session.connection().execute(text(statement))


@pytest.mark.parametrize(
    "line",
    ["'receivable', NULL, NULL, 5", "'bank', NULL, NULL, 0", "'driver_cash', NULL, NULL, 5", "'gold', NULL, NULL, 5"],
)
def test_a_line_belongs_where_its_account_says(session: Session, line: str) -> None:
    entry = sell(session)
    columns = "entry_id, position, account, customer_id, driver_id, amount_twd"
    with pytest.raises(IntegrityError, match="violates check constraint"), session.begin_nested():
        session.connection().execute(text(f"INSERT INTO ledger_lines ({columns}) VALUES ({entry.id}, 9, {line})"))  # noqa: S608


def test_a_sale_is_owed_until_it_is_taken_back(session: Session) -> None:
    customer = make_customer(session)
    entry = sell(session, customer)
    assert service.owed(session, customer_id=customer.id) == 1700
    back = service.take_back(session, order_id=entry.order_id, day=TODAY, by="tests", reason="退貨")
    assert (back.kind, back.order_id, back.note) == ("return", entry.order_id, "退貨")
    assert service.owed(session, customer_id=customer.id) == 0
    with pytest.raises(IntegrityError, match="ledger_entries_reference_key"), session.begin_nested():
        service.take_back(session, order_id=entry.order_id, day=TODAY, by="tests", reason="again")


def test_what_was_never_booked_is_not_taken_back(session: Session) -> None:
    assert service.take_back(session, order_id=make_order(session).id, day=TODAY, by="tests", reason="x") is None


def test_a_gift_has_an_entry_and_owes_nothing(session: Session) -> None:
    entry = sell(session, total_twd=0)
    assert (entry.kind, list(entry.lines)) == ("sale", [])


def test_a_mistake_is_met_by_its_opposite_once(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    sell(session, customer)
    entry = pay(session, customer.id, 1700)
    session.commit()
    made = client.post(f"{PATH}/entries/{entry.id}/reversal", json={"reason": "打錯客戶"})
    assert made.status_code == 201
    assert {(line["account"], line["amount_twd"]) for line in made.json["lines"]} == {
        ("till", -1700),
        ("receivable", 1700),
    }
    assert service.owed(session, customer_id=customer.id) == 1700
    again = client.post(f"{PATH}/entries/{entry.id}/reversal", json={"reason": "打錯客戶"})
    assert (again.status_code, again.json["detail"]) == (409, f"entry {entry.id} is reversed already")


def test_what_has_a_deed_behind_it_is_not_reversed_here(client: FlaskClient, session: Session) -> None:
    entry = sell(session)
    session.commit()
    refused = client.post(f"{PATH}/entries/{entry.id}/reversal", json={"reason": "x"})
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    assert "is a sale: only hand_in and payment" in refused.json["detail"]


def test_entries_are_listed_by_what_they_are_about(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    mine = [sell(session, customer), pay(session, customer.id, 700), sell(session, customer)]
    other = sell(session)
    session.commit()

    def ids(query: str) -> list[int]:
        return [item["id"] for item in client.get(f"{PATH}/entries?{query}").json["items"]]

    assert ids(f"customer_id={customer.id}") == [entry.id for entry in reversed(mine)]
    assert ids(f"customer_id={customer.id}&kind=sale") == [mine[2].id, mine[0].id]
    assert ids(f"order_id={other.order_id}") == [other.id]
    assert ids(f"day={TODAY + timedelta(days=1)}") == []
    first = client.get(f"{PATH}/entries?customer_id={customer.id}&limit=2").json
    rest = client.get(f"{PATH}/entries?customer_id={customer.id}&limit=2&cursor={first['next_cursor']}").json
    assert [item["id"] for item in first["items"] + rest["items"]] == [entry.id for entry in reversed(mine)]
    assert client.get(f"{PATH}/entries/{other.id}").json["order_id"] == other.order_id
    assert client.get(f"{PATH}/entries/999999").status_code == 404


def test_all_accounts_together_come_to_nothing(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    sell(session, customer)
    pay(session, customer.id, 1000)
    deposit = service.Deposit(deposit_id=1, customer_id=customer.id, amount_twd=1500, driver_id=make_driver(session).id)
    service.move_deposit(session, deposit=deposit, day=TODAY, by="tests")
    session.commit()
    found = client.get(f"{PATH}/balances").json
    assert found["total_twd"] == 0
    assert {item["account"]: item["amount_twd"] for item in found["items"]} == {
        "receivable": 700, "deposits": -1500, "sales": -1700, "driver_cash": 1500, "till": 1000, "bank": 0,
        "cash_difference": 0, "unassigned": 0,
    }  # fmt: skip
