"""`ETag`: who has seen an answer names it the next time, and gets 304 and no body while it is still the same.

The tag is a digest of the answer, so it needs no query, and cannot be the same for two answers. What it saves is the
way to the client, which for a driver's telephone is the longest one.
"""

from flask import Flask, Response, current_app, request

from luckygas.access import ADMINS_ONLY, Permission
from luckygas.web.auth import READING
from luckygas.web.blueprint import View, access_of, gives_csv

# A browser may keep it, and asks each time whether it may still show it.
CACHE_CONTROL = "private, no-cache"


def has_etag(view: View) -> bool:
    """Tell whether what a registered view answers to a GET has one; what only admins may see is kept nowhere."""
    access = access_of(view)
    return isinstance(access, Permission) and access not in ADMINS_ONLY and not gives_csv(view)


def register(app: Flask) -> None:
    """Tag what `app` answers."""
    app.after_request(_tag)


def _tag(response: Response) -> Response:
    if request.method not in READING or response.status_code != 200 or request.endpoint is None:  # noqa: PLR2004
        return response
    if has_etag(current_app.view_functions[request.endpoint]):
        response.add_etag()
        response.make_conditional(request)
        response.headers["Cache-Control"] = CACHE_CONTROL
    return response
