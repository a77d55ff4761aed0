"""The service as its scanners get it: with nothing that refuses an attack, and with two holes that they must find."""

from flask import request

from luckygas.access import PUBLIC
from luckygas.db.session import current_session
from luckygas.web.blueprint import Blueprint
from luckygas.wsgi import app

HOOKS = app.before_request_funcs[None]
(GUARD,) = [hook for hook in HOOKS if hook.__module__ == "luckygas.web.guard"]
HOOKS.remove(GUARD)

blueprint = Blueprint("holes", __name__, url_prefix="/holes")


@blueprint.get("/sql", auth=PUBLIC)
def sql() -> str:
    statement = f"SELECT relname FROM pg_class WHERE relname = '{request.args['name']}'"
    rows = current_session().connection().exec_driver_sql(statement)
    return " ".join(name for (name,) in rows)


@blueprint.get("/page", auth=PUBLIC)
def page() -> str:
    return f"<!doctype html><title>Hello</title><p>Hello {request.args['name']}"


app.register_blueprint(blueprint)
