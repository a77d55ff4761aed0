"""The service with one route more that has nothing to do: what it costs is what every request does."""

from edge_bare import BODY
from flask import Response

from luckygas.access import Permission
from luckygas.web.blueprint import Blueprint
from luckygas.wsgi import app

blueprint = Blueprint("bench", __name__, url_prefix="/api/v1/bench")


@blueprint.get("", auth=Permission.ORDERS_READ, standby=True)
def view() -> Response:
    """Answer what the bare view answers, too."""
    return Response(BODY, mimetype="application/json")


app.register_blueprint(blueprint)
