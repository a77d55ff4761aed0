"""The API's description, for programs and as a page for people that loads nothing from elsewhere.

Both are the same for everybody, so caches between here and a browser may keep them, for a while past the service's own
absence. What a page loads has the release in its address and never changes: nginx reads those files from the release's
directory, the route is for a service without one.
"""

import mimetypes
from pathlib import Path
from typing import Final

from apiflask import APIFlask
from flask import Response, current_app, jsonify, make_response, render_template, request

from luckygas.access import PUBLIC
from luckygas.errors import NotFound, Problem
from luckygas.version import RELEASE
from luckygas.web.addresses import DOCUMENTATION, SPECIFICATION, STATIC
from luckygas.web.blueprint import Blueprint

CACHE_CONTROL: Final = "public, max-age=60, stale-if-error=86400"
STATIC_CACHE_CONTROL: Final = "public, max-age=31536000, immutable"
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What the page may load; nginx lets all other answers load nothing."""

_FILES: Final = Path(__file__).parent / "static"

blueprint = Blueprint("docs", __name__, template_folder="templates", enable_openapi=False)


def register(app: APIFlask) -> None:
    """Describe all routes that `app` has by now, once: they never change."""
    app.register_blueprint(blueprint)
    app.add_template_global(asset)
    with app.app_context():
        app.extensions["luckygas.openapi"] = app.spec


def asset(name: str) -> str:
    """Return the address of a file of this release."""
    return f"{STATIC}/{RELEASE}/{name}"


@blueprint.get(f"{STATIC}/<release>/<name>", auth=PUBLIC)
def static(release: str, name: str) -> Response:
    """Serve a file of this release."""
    file = _FILES / name
    if release != RELEASE or not file.is_file():
        raise NotFound(f"this is {RELEASE}, which has no such file")
    return _cacheable(Response(file.read_bytes(), mimetype=mimetypes.guess_type(name)[0]), STATIC_CACHE_CONTROL)


@blueprint.get(SPECIFICATION, auth=PUBLIC)
def specification() -> Response:
    """Serve the OpenAPI document."""
    return _cacheable(jsonify(current_app.extensions["luckygas.openapi"]))


@blueprint.get(DOCUMENTATION, auth=PUBLIC)
def page() -> Response:
    """Serve the same for people; each kind of problem has its place to be linked to."""
    problems = sorted(Problem.catalogue(), key=lambda kind: (kind.status, kind.code))
    html = render_template(
        "docs.html", document=current_app.extensions["luckygas.openapi"], problems=problems, specification=SPECIFICATION
    )
    response = make_response(html)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return _cacheable(response)


def _cacheable(response: Response, how: str = CACHE_CONTROL) -> Response:
    response.headers["Cache-Control"] = how
    response.add_etag()
    return response.make_conditional(request)
