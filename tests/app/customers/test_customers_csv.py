import csv
import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from factories import make_customer
from luckygas.access import Role
from luckygas.customers.models import Customer
from luckygas.web import spreadsheets
from luckygas.web.spreadsheets import cell, text_of

EXPORT, IMPORT = "/api/v1/customers/export", "/api/v1/customers/import"
HEADER = "kind,name,mobile,landline,tax_number,address,note,usual_20kg"
GOOD = "restaurant,阿明小吃店,0912-345-678,02-25531234,04595257,臺北市大同區民生西路 45 號,後門送貨,2"


def send(client: FlaskClient, *lines: str, header: str = HEADER, **query: object) -> tuple[int, dict]:
    data = "\r\n".join([header, *lines])
    response = client.post(IMPORT, data=data.encode(), query_string=query, content_type="text/csv; charset=utf-8")
    return response.status_code, response.json


def refused(client: FlaskClient, *lines: str, header: str = HEADER) -> dict[str, str]:
    """Return the errors of a file that is refused, by their place."""
    status, problem = send(client, *lines, header=header)
    assert status == 422, problem
    return {error["field"]: error["message"] for error in problem["errors"]}


def rows(response: object) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Customer))


def test_all_customers_come_as_a_file_the_newest_first(
    client: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheets, "ROWS_AT_ONCE", 2)
    made = [make_customer(session, usual_cylinders=[{"cylinder_kg": 16, "quantity": 3}]) for _ in range(5)]
    session.commit()
    response = client.get(EXPORT)
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == 'attachment; filename="customers.csv"'
    found = rows(response)
    assert [row["id"] for row in found] == [str(customer.id) for customer in reversed(made)]
    assert (found[0]["name"], found[0]["usual_16kg"], found[0]["note"]) == (made[-1].name, "3", "")


def test_no_customers_are_a_file_with_a_header(client: FlaskClient) -> None:
    assert rows(client.get(EXPORT)) == []
    assert client.get(EXPORT).data.startswith(b"id,kind,name")


def test_excel_gets_its_mark_when_asked_for(client: FlaskClient) -> None:
    assert client.get(EXPORT, query_string={"bom": "true"}).data.startswith(b"\xef\xbb\xbfid,")


def test_who_takes_all_customers_along_is_logged(client: FlaskClient) -> None:
    client.get(EXPORT)
    (entry,) = client.get("/api/v1/audit?action=exported").json["items"]
    assert (entry["entity"], entry["entity_id"]) == ("customers", "all")


def test_drivers_and_services_cannot_take_all_customers_along(client_as: Callable[[Role], FlaskClient]) -> None:
    assert {client_as(role).get(EXPORT).status_code for role in (Role.DRIVER, Role.SERVICE)} == {403}


@pytest.mark.parametrize("evil", ["=1+1", "+886", "-2", "@SUM(A1)", "\t=1", "＝1", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula_and_comes_back_as_it_was(client: FlaskClient, session: Session, evil: str) -> None:
    make_customer(session, name="x", note="y").note = evil
    session.commit()
    (row,) = rows(client.get(EXPORT))
    assert row["note"] == f"'{evil}"
    assert text_of(row["note"]) == evil


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"])))
def test_whatever_a_cell_says_comes_back(text: str) -> None:
    if not text.startswith("'"):
        assert text_of(str(cell(text))) == text


def test_a_file_is_stored_whole(client: FlaskClient, session: Session) -> None:
    other = "household,王小明,912345679,,,臺北市大同區寧夏路 8 號,,"
    assert send(client, GOOD, other) == (200, {"lines": 2, "created": 2})
    first, second = session.scalars(select(Customer).order_by(Customer.id))
    assert (first.mobile, first.landline, first.note) == ("0912345678", "0225531234", "後門送貨")
    assert [(usual.cylinder_kg, usual.quantity) for usual in first.usual_cylinders] == [(20, 2)]
    # Excel took the number for a number, and its zero away.
    assert (second.mobile, second.usual_cylinders, second.tax_number) == ("0912345679", [], None)


def test_what_was_exported_can_be_imported_elsewhere(client: FlaskClient, session: Session) -> None:
    made = make_customer(session, note="=1+1", usual_cylinders=[{"cylinder_kg": 4, "quantity": 1}])
    session.commit()
    file = client.get(EXPORT, query_string={"bom": "true"}).data.replace(made.name.encode(), "新客戶".encode())
    response = client.post(IMPORT, data=file, content_type="text/csv")
    assert response.json == {"lines": 1, "created": 1}
    copy = session.scalars(select(Customer).order_by(Customer.id.desc())).first()
    assert (copy.name, copy.note, copy.address) == ("新客戶", "=1+1", made.address)


def test_a_dry_run_changes_nothing_and_finds_the_same(client: FlaskClient, session: Session) -> None:
    assert send(client, GOOD, dry_run=True) == (200, {"lines": 1, "created": 0})
    assert count(session) == 0
    assert send(client, GOOD.replace("restaurant", "palace"), dry_run=True)[0] == 422


def test_every_bad_line_is_listed_and_nothing_is_stored(client: FlaskClient, session: Session) -> None:
    bad = [GOOD.replace("restaurant", "palace"), GOOD.replace("0912-345-678", "12"), GOOD[:-1] + "many"] * 10
    errors = refused(client, GOOD, *bad)
    assert len(errors) == 30
    assert set(list(errors)[:3]) == {"line 3: kind", "line 4: mobile", "line 5: usual_20kg"}
    assert count(session) == 0


def test_who_is_there_already_is_not_made_again(client: FlaskClient, session: Session) -> None:
    send(client, GOOD)
    errors = refused(client, GOOD.replace("阿明小吃店", "別家"), GOOD)
    (made,) = session.scalars(select(Customer))
    assert errors == {"line 3": f"阿明小吃店, 0912345678 is customer {made.id} already"}
    twice = GOOD.replace("阿明小吃店", "雙胞胎")
    assert refused(client, twice, twice) == {"line 3": "雙胞胎, 0912345678 is there twice"}


def test_a_cell_may_have_several_lines(client: FlaskClient, session: Session) -> None:
    quoted = GOOD.replace("後門送貨", '"後門\n送貨"')
    assert send(client, quoted)[0] == 200
    assert session.scalars(select(Customer)).one().note == "後門\n送貨"
    assert list(refused(client, quoted.replace("小吃店", "二店"), GOOD.replace("restaurant", ""))) == ["line 4: kind"]


@pytest.mark.parametrize(
    ("header", "lines", "fields"),
    [
        ("kind,name,address", [], ["mobile"]),
        (f"{HEADER},colour", [], ["colour"]),
        (f"{HEADER},name", [], ["name"]),
        (HEADER, [], ["body"]),
        (HEADER, ["restaurant,x"], ["line 2"]),
        (HEADER, [f"{GOOD},too much"], ["line 2"]),
        (HEADER, ['"never closed'], ["body"]),
        (HEADER, ["\0"], ["body"]),
    ],
)
def test_what_is_no_such_file_is_refused(client: FlaskClient, header: str, lines: list[str], fields: list[str]) -> None:
    assert list(refused(client, *lines, header=header)) == fields


def test_too_many_lines_are_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_LINES", 2)
    assert list(refused(client, GOOD, GOOD, GOOD)) == ["body"]


def test_another_encoding_is_refused_with_the_way_out(client: FlaskClient) -> None:
    response = client.post(IMPORT, data=f"{HEADER}\n{GOOD}".encode("big5"), content_type="text/csv")
    assert response.status_code == 422
    assert "CSV UTF-8" in response.json["errors"][0]["message"]
    assert client.post(IMPORT, json={}).status_code == 415


def test_the_examples_of_the_document_are_what_it_takes_and_gives(client: FlaskClient) -> None:
    document = client.application.extensions["luckygas.openapi"]["paths"]
    example = document[IMPORT]["post"]["requestBody"]["content"]["text/csv"]["example"]
    response = client.post(IMPORT, data=example.encode(), content_type="text/csv")
    assert response.json == {"lines": 1, "created": 1}
    exported = document[EXPORT]["get"]["responses"]["200"]["content"]["text/csv"]["example"]
    (shown,) = csv.DictReader(io.StringIO(exported), strict=True)
    (found,) = rows(client.get(EXPORT))
    changing = {"id", "created_at", "landline", "tax_number", "note"}
    assert {name: shown[name] for name in found if name not in changing} == {
        name: value for name, value in found.items() if name not in changing
    }
