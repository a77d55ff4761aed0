"""The cookie of a session. Browsers send it by themselves, so with every change a second proof must come along."""

import hashlib
import hmac
from datetime import timedelta
from typing import Final

from flask import Response, after_this_request, request

NAME: Final = "__Host-luckygas"
CSRF_HEADER: Final = "X-CSRF-Token"


def token() -> str | None:
    """Return the token that this request brought, if any."""
    return request.cookies.get(NAME) if "HTTP_COOKIE" in request.environ else None


def csrf_token(token: str) -> str:
    """Return what a page of ours sends beside the cookie; other sites can neither read nor compute it."""
    return hashlib.sha256(f"csrf {token}".encode()).hexdigest()


def has_csrf_token(token: str) -> bool:
    """Tell whether this request brought the second proof."""
    presented = request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(presented.encode(), csrf_token(token).encode())


def keep(token: str, *, lifetime: timedelta) -> None:
    """Have the answer to this request set the cookie; scripts cannot read it and other sites' forms do not send it."""

    @after_this_request
    def add(response: Response) -> Response:
        response.set_cookie(NAME, token, max_age=lifetime, path="/", secure=True, httponly=True, samesite="Lax")
        return response


def drop() -> None:
    """Have the answer to this request take the cookie away, and what the browser keeps of ours beside it."""

    @after_this_request
    def remove(response: Response) -> Response:
        response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="Lax")
        response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
        return response
