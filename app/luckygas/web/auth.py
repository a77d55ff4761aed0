"""Find out who is asking, and whether they may.

Machines send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`; people have the cookie of their session.
"""

from contextlib import suppress
from typing import Final

from flask import g, has_request_context, request
from sqlalchemy.exc import SQLAlchemyError

from luckygas.access import SIGNED_IN, Access, Principal
from luckygas.audit.actor import Actor
from luckygas.db.session import current_session, transaction
from luckygas.errors import Forbidden, Problem, Unauthenticated
from luckygas.resources import resources
from luckygas.web import cookies

CHALLENGE: Final = 'Bearer realm="luckygas"'
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfTokenMissing(Problem):
    """The cookie came without the proof that a page of ours sent it."""

    status, code, title = 403, "csrf_token_missing", "A change needs the CSRF token of its session"


def authorise(access: Access, *, fresh: bool) -> None:
    """Let the request pass if its caller may do what the route needs; otherwise raise.

    Unless it is `fresh`, what a caller may do is what it was a few seconds ago, which can save a trip to the database.
    """
    become(_caller(fresh=fresh))
    principal = current_principal()
    if access == SIGNED_IN:
        if principal.person_id is None:
            raise Forbidden("this is about a person's own account, and a key has none: log in")
        return
    if principal.must_change_password:
        raise Forbidden("choose a password of your own first: PUT /api/v1/me/password")
    if principal.scopes is not None and access not in principal.scopes:
        raise Forbidden(f"the scopes of this key leave out {access}: use another key", headers=_insufficient(access))
    if not principal.may(access):
        whose, way_out = ("you have", "ask an admin") if principal.person_id else ("this key has", "use another key")
        raise Forbidden(
            f"{whose} the role {principal.role}, which lacks {access}: {way_out}",
            headers=_insufficient(access),
        )


def _insufficient(access: Access) -> dict[str, str]:
    return {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{access}"'}


def recognise() -> None:
    """Find out who is asking, before it matters whether they may; who shows nothing or something wrong stays nobody."""
    if cookies.token() is None and "Authorization" not in request.headers and "X-API-Key" not in request.headers:
        return
    with suppress(Problem, SQLAlchemyError), transaction(resources().sessions):
        become(_caller(fresh=False))


def become(principal: Principal) -> None:
    """Take the rest of this request for one of `principal`."""
    g.principal = principal


def current_principal() -> Principal:
    """Return the caller of a route that is not public."""
    return g.principal


def current_actor() -> Actor:
    """Return who the audit log takes for the cause of what happens now."""
    if not has_request_context():
        return Actor("service:luckygas-web")
    name = g.principal.id if "principal" in g else "anonymous"
    return Actor(name, origin=request.remote_addr, request_id=g.request_id)


def _caller(*, fresh: bool) -> Principal:
    token = cookies.token()
    if token is None or "Authorization" in request.headers or "X-API-Key" in request.headers:
        return resources().authenticate.by_key(current_session, _presented_key(), fresh=fresh)
    principal = resources().authenticate.by_token(current_session, token, fresh=fresh)
    if request.method not in READING and not cookies.has_csrf_token(token):
        raise CsrfTokenMissing(f"send {cookies.CSRF_HEADER} with the csrf_token that GET /api/v1/me gives")
    return principal


def _presented_key() -> str:
    authorization = request.headers.get("Authorization")
    if authorization is None:
        key = request.headers.get("X-API-Key", "")
    else:
        scheme, _, key = authorization.partition(" ")
        key = key if scheme.lower() == "bearer" else ""
    if not key.strip():
        raise Unauthenticated(
            "the request has neither an API key nor a session: send a key as Authorization: Bearer KEY, or as "
            "X-API-Key: KEY, or log in",
            headers={"WWW-Authenticate": CHALLENGE},
            innocent=True,
        )
    return key.strip()
