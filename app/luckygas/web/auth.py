"""Who is asking, and may they? Keys come as `Authorization: Bearer KEY` or `X-API-Key: KEY`."""

from flask import g, request

from luckygas.access import PUBLIC, Access, Principal
from luckygas.db.session import current_session
from luckygas.errors import Forbidden, Unauthenticated
from luckygas.resources import resources

CHALLENGE = 'Bearer realm="luckygas"'


def authorise(access: Access) -> None:
    """Let the request pass if its route is public or its key grants what the route needs; otherwise raise."""
    if access == PUBLIC:
        return
    g.principal = resources().authenticate(current_session(), _presented_key())
    if not g.principal.may(access):
        raise Forbidden(
            f"this key has the role {g.principal.role}, which lacks {access}: use a key of another role",
            headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{access}"'},
        )


def current_principal() -> Principal:
    """Return the caller of a route that is not public."""
    return g.principal


def _presented_key() -> str:
    authorization = request.headers.get("Authorization")
    if authorization is None:
        key = request.headers.get("X-API-Key", "")
    else:
        scheme, _, key = authorization.partition(" ")
        key = key if scheme.lower() == "bearer" else ""
    if not key.strip():
        raise Unauthenticated(
            "the request has no API key: send it as Authorization: Bearer KEY, or as X-API-Key: KEY",
            headers={"WWW-Authenticate": CHALLENGE},
        )
    return key.strip()
