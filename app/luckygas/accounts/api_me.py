"""The routes by which people log in and out, and see to their own account."""

from datetime import UTC, datetime

from flask import Response, request

from luckygas.access import PUBLIC, SIGNED_IN, Role
from luckygas.accounts import login, people, sessions, totp
from luckygas.accounts.models import Person
from luckygas.accounts.schemas import (
    CodeIn,
    EndedOut,
    LoginIn,
    OpenSessions,
    PasswordIn,
    PersonOut,
    ProofIn,
    SessionOut,
    TotpOut,
)
from luckygas.db.session import current_session
from luckygas.errors import Problem, Unavailable
from luckygas.resources import resources
from luckygas.web import cookies, problems
from luckygas.web.addresses import API
from luckygas.web.auth import become, current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.limits import LOG_IN, Price

blueprint = Blueprint("me", __name__, url_prefix=API, tag="Log-in")

_LONGEST_AGENT = 200


@blueprint.post(
    "/session",
    auth=PUBLIC,
    price=Price(5, own=LOG_IN),
    problems=[login.LoginRefused, login.TotpCodeNeeded, login.LoginLocked, Unavailable],
)
@blueprint.input(LoginIn, arg_name="credentials")
@blueprint.output(SessionOut)
def log_in(credentials: LoginIn) -> dict | Response:
    """Log in: a cookie keeps the session, the answer has what must come with every change."""
    outcome = login.log_in(
        current_session(), credentials=credentials, agent=_agent(), address=request.remote_addr, now=datetime.now(UTC)
    )
    if isinstance(outcome, Problem):
        return problems.respond(outcome)  # answered instead of raised: that it failed is to be kept
    become(sessions.principal_of(outcome.person))
    return _begun(outcome.person, outcome.token)


@blueprint.delete("/session", auth=SIGNED_IN)
@blueprint.output(EndedOut)
def log_out() -> dict:
    """Log out in this browser."""
    ended = sessions.end(current_session(), volatile=resources().volatile, token=cookies.token())
    cookies.drop()
    return {"ended": ended}


@blueprint.get("/me", auth=SIGNED_IN)
@blueprint.output(SessionOut)
def me() -> dict:
    """Tell who is logged in, and once more what must come with every change."""
    return {"person": _me(), "csrf_token": cookies.csrf_token(cookies.token())}


@blueprint.get("/me/sessions", auth=SIGNED_IN)
@blueprint.output(OpenSessions)
def open_sessions() -> dict:
    """List the browsers in which one is logged in, the one last used first."""
    person_id = current_principal().person_id
    return {"items": sessions.of_person(current_session(), person_id=person_id, now=datetime.now(UTC))}


@blueprint.delete("/me/sessions", auth=SIGNED_IN)
@blueprint.output(EndedOut)
def log_out_everywhere() -> dict:
    """Log out in all browsers."""
    person_id = current_principal().person_id
    cookies.drop()
    return {"ended": sessions.end_all(current_session(), volatile=resources().volatile, person_id=person_id)}


@blueprint.put("/me/password", auth=SIGNED_IN)
@blueprint.input(PasswordIn, arg_name="change")
@blueprint.output(SessionOut)
def change_password(change: PasswordIn) -> dict:
    """Change one's password; all sessions end, and a new one begins here."""
    session, person_id = current_session(), current_principal().person_id
    person = people.change_password(session, volatile=resources().volatile, person_id=person_id, change=change)
    now = datetime.now(UTC)
    token = sessions.start(session, person=person, agent=_agent(), address=request.remote_addr, now=now)
    return _begun(person, token)


@blueprint.post("/me/totp", auth=SIGNED_IN, problems=[people.TotpState])
@blueprint.input(ProofIn, arg_name="proof")
@blueprint.output(TotpOut)
def begin_totp(proof: ProofIn) -> dict:
    """Get a secret for an authenticator app; it counts when a first code of it was confirmed."""
    person = people.begin_totp(current_session(), person_id=current_principal().person_id, password=proof.current)
    return {"secret": person.totp_secret, "uri": totp.uri(person.totp_secret, login=person.login)}


@blueprint.put("/me/totp", auth=SIGNED_IN, problems=[people.TotpState])
@blueprint.input(CodeIn, arg_name="confirmation")
@blueprint.output(PersonOut)
def confirm_totp(confirmation: CodeIn) -> Person:
    """Confirm the authenticator app by a code; from now on one is asked for at each log-in."""
    person_id = current_principal().person_id
    return people.confirm_totp(current_session(), person_id=person_id, code=confirmation.code, now=datetime.now(UTC))


@blueprint.delete("/me/totp", auth=SIGNED_IN)
@blueprint.input(ProofIn, arg_name="proof")
@blueprint.output(PersonOut)
def drop_totp(proof: ProofIn) -> Person:
    """Do without the authenticator app."""
    return people.drop_totp(current_session(), person_id=current_principal().person_id, password=proof.current)


def _begun(person: Person, token: str) -> dict:
    cookies.keep(token, lifetime=sessions.LIFETIMES[Role(person.role)].absolute)
    return {"person": person, "csrf_token": cookies.csrf_token(token)}


def _me() -> Person:
    return people.get(current_session(), person_id=current_principal().person_id)


def _agent() -> str | None:
    return request.headers.get("User-Agent", "")[:_LONGEST_AGENT] or None
