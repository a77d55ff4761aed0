"""The routes by which admins manage people."""

from datetime import UTC, datetime

from flask import url_for

from luckygas.access import Permission
from luckygas.accounts import people, sessions
from luckygas.accounts.models import Person
from luckygas.accounts.schemas import (
    EndedOut,
    NewPasswordOut,
    PersonChange,
    PersonIn,
    PersonOut,
    PersonPage,
    PersonQuery,
)
from luckygas.db.session import current_session
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.pagination import page_of

blueprint = Blueprint("people", __name__, url_prefix=f"{API}/people", tag="People")


@blueprint.post("", auth=Permission.PEOPLE_WRITE, problems=[people.LoginTaken])
@blueprint.input(PersonIn, arg_name="person")
@blueprint.output(NewPasswordOut, status_code=201)
def create(person: PersonIn) -> tuple[dict, int, dict[str, str]]:
    """Create a person; the answer has a password that is shown this once."""
    row, password = people.create(current_session(), person=person)
    return {"person": row, "password": password}, 201, {"Location": url_for(".read", person_id=row.id)}


@blueprint.get("/<id:person_id>", auth=Permission.PEOPLE_READ)
@blueprint.output(PersonOut)
def read(person_id: int) -> Person:
    """Read one person."""
    return people.get(current_session(), person_id=person_id)


@blueprint.get("", auth=Permission.PEOPLE_READ, standby=True)
@blueprint.input(PersonQuery, location="query", arg_name="query")
@blueprint.output(PersonPage)
def find(query: PersonQuery) -> dict:
    """List people, newest first."""
    return page_of(
        query,
        lambda before_id, count: people.find(current_session(), role=query.role, before_id=before_id, count=count),
    )


@blueprint.patch("/<id:person_id>", auth=Permission.PEOPLE_WRITE, problems=[people.LastAdmin])
@blueprint.input(PersonChange, arg_name="change")
@blueprint.output(PersonOut)
def change(person_id: int, change: PersonChange) -> Person:
    """Change a person; another role, or being disabled, logs them out everywhere."""
    return people.change(
        current_session(),
        volatile=resources().volatile,
        person_id=person_id,
        change=change,
        now=datetime.now(UTC),
    )


@blueprint.post("/<id:person_id>/password", auth=Permission.PEOPLE_WRITE)
@blueprint.output(NewPasswordOut)
def reset_password(person_id: int) -> dict:
    """Give a person a new first password, log them out everywhere, and forget their authenticator app."""
    row, password = people.reset_password(current_session(), volatile=resources().volatile, person_id=person_id)
    return {"person": row, "password": password}


@blueprint.delete("/<id:person_id>/sessions", auth=Permission.PEOPLE_WRITE)
@blueprint.output(EndedOut)
def end_sessions(person_id: int) -> dict:
    """Log a person out everywhere."""
    people.get(current_session(), person_id=person_id)
    return {"ended": sessions.end_all(current_session(), volatile=resources().volatile, person_id=person_id)}
