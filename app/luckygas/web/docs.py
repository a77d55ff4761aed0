"""The API's description, for programs and as a page for people that loads nothing from anywhere."""

from apiflask import APIFlask
from flask import Response, current_app, jsonify, render_template

from luckygas.access import PUBLIC
from luckygas.errors import Problem
from luckygas.web.addresses import DOCUMENTATION, SPECIFICATION
from luckygas.web.blueprint import Blueprint

blueprint = Blueprint("docs", __name__, template_folder="templates", enable_openapi=False)


def register(app: APIFlask) -> None:
    """Describe all routes that `app` has by now, once: they never change."""
    app.register_blueprint(blueprint)
    with app.app_context():
        app.extensions["luckygas.openapi"] = app.spec


@blueprint.get(SPECIFICATION, auth=PUBLIC)
def specification() -> Response:
    """Serve the OpenAPI document."""
    return jsonify(current_app.extensions["luckygas.openapi"])


@blueprint.get(DOCUMENTATION, auth=PUBLIC)
def page() -> str:
    """Serve the same for people; each kind of problem has its place to be linked to."""
    problems = sorted(Problem.catalogue(), key=lambda kind: (kind.status, kind.code))
    return render_template(
        "docs.html", document=current_app.extensions["luckygas.openapi"], problems=problems, specification=SPECIFICATION
    )
