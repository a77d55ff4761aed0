"""Which pages of other sites may call the API: none, unless the operator lists their sites.

What else browsers are to refuse (OWASP's Secure Headers Project) nginx says in every answer that does not say it
itself, so a page that needs more than nothing has its own `Content-Security-Policy`.
"""

from typing import Final

from flask import Flask, Response, request

from luckygas.resources import Resources

_ALLOWED_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-ID"
)
_SHOWN_HEADERS: Final = "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
_PREFLIGHT_SECONDS: Final = "600"


def register(app: Flask) -> None:
    """Say in the answers of `app` which sites may read them."""
    if origins := frozenset(Resources.of(app).settings.cors_origins):
        app.after_request(lambda response: _share(response, origins))


def _share(response: Response, origins: frozenset[str]) -> Response:
    """Let pages of these origins call the API by a key; the cookie of a session never comes from there."""
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    else:
        response.headers["Access-Control-Expose-Headers"] = _SHOWN_HEADERS
    return response
