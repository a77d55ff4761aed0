import csv
import io
from datetime import date

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_customer, make_order

EXPORT = "/api/v1/orders/export"


def rows(client: FlaskClient, **query: object) -> list[dict[str, str]]:
    response = client.get(EXPORT, query_string=query)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))


def test_an_order_is_a_line_with_its_cylinders_by_size(client: FlaskClient, session: Session) -> None:
    lines = [
        {"cylinder_kg": 20, "quantity": 2, "unit_price_twd": 850},
        {"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 800},
        {"cylinder_kg": 4, "quantity": 5, "unit_price_twd": 300},
    ]
    order = make_order(session, lines=lines, note="=先打電話", wanted_on=date(2026, 5, 2))
    session.commit()
    (row,) = rows(client)
    assert row["id"] == str(order.id)
    assert [row[f"quantity_{kg}kg"] for kg in (4, 10, 16, 20, 50)] == ["5", "0", "0", "3", "0"]
    assert (row["total_twd"], row["wanted_on"], row["status"]) == ("4000", "2026-05-02", "placed")
    assert row["note"] == "'=先打電話"


def test_only_what_was_asked_for_is_in_the_file(client: FlaskClient, session: Session) -> None:
    customer = make_customer(session)
    wanted, _ = make_order(session, customer), make_order(session)
    session.commit()
    assert [row["id"] for row in rows(client, customer_id=customer.id)] == [str(wanted.id)]
    assert rows(client, status="cancelled") == []
    entries = client.get("/api/v1/audit?action=exported").json["items"]
    assert entries[1]["changes"]["customer_id"]["after"] == customer.id


def test_a_question_that_makes_no_sense_is_refused(client: FlaskClient) -> None:
    assert client.get(f"{EXPORT}?limit=5").status_code == 422
