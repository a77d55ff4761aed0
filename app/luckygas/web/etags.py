"""`ETag`: who has seen an answer names it the next time, and gets 304 and no body while it is still the same.

The tag is a digest of the answer, so it needs no query, and cannot be the same for two answers. What it saves is the
way to the client, which for a driver's telephone is the longest one. The tag of something that has a version begins
with that: `web.versions` says what for.
"""

from typing import Final

from flask import Flask, Response, current_app, request

from luckygas.access import ADMINS_ONLY, Permission
from luckygas.web import versions
from luckygas.web.blueprint import View, access_of, gives_csv, response_schema_of

# A browser may keep it, and asks each time whether it may still show it.
CACHE_CONTROL = "private, no-cache"

_TAGGED: Final = frozenset({"GET", "HEAD"})


def has_etag(view: View) -> bool:
    """Tell whether what a registered view answers to a GET has one; what only admins may see is kept nowhere."""
    access = access_of(view)
    return isinstance(access, Permission) and access not in ADMINS_ONLY and not gives_csv(view)


def shows_version(view: View) -> bool:
    """Tell whether a registered view answers with one thing that has a version."""
    return "version" in getattr(response_schema_of(view), "model_fields", ())


def register(app: Flask) -> None:
    """Tag what `app` answers."""
    app.after_request(_tag)


def _tag(response: Response) -> Response:
    if request.method not in _TAGGED or response.status_code != 200 or request.endpoint is None:  # noqa: PLR2004
        return response
    view = current_app.view_functions[request.endpoint]
    if has_etag(view):
        response.add_etag()
        if shows_version(view):
            response.set_etag(versions.tag(response.get_json()["version"], response.get_etag()[0]))
        if "If-None-Match" in request.headers or "If-Match" in request.headers:
            response.make_conditional(request)
        response.headers["Cache-Control"] = CACHE_CONTROL
    return response
