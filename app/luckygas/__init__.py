"""The Lucky Gas service."""

from datetime import UTC, datetime

from flask import Flask, current_app
from sqlalchemy.orm import Session
from werkzeug.middleware.proxy_fix import ProxyFix

from luckygas.access import Principal
from luckygas.accounts import api_me, api_people, sessions
from luckygas.accounts import service as accounts
from luckygas.config import Settings
from luckygas.customers import api as customers
from luckygas.ops import health, logging
from luckygas.orders import api as orders
from luckygas.resources import Authenticate, Resources
from luckygas.web import docs, openapi, problems, reads
from luckygas.web.addresses import IdConverter

LARGEST_BODY_BYTES = 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service, configured from the environment unless `settings` are given; it connects to nothing yet."""
    settings = settings or Settings.from_environ()

    app = openapi.new_app(settings)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.json.ensure_ascii = False
    app.json.sort_keys = False
    app.url_map.converters["id"] = IdConverter
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)
    authenticate = Authenticate(by_key=_by_key, by_token=_by_token)
    app.extensions["luckygas"] = Resources.create(settings, authenticate=authenticate)

    logging.register(app)
    problems.register(app)
    reads.register(app)
    health.register(app)
    app.register_blueprint(api_me.blueprint)
    app.register_blueprint(api_people.blueprint)
    app.register_blueprint(customers.blueprint)
    app.register_blueprint(orders.blueprint)
    docs.register(app)
    return app


def _by_key(session: Session, presented: str) -> Principal:
    """Tie the web layer, which knows no domain, to the keys of `accounts`."""
    pepper = Resources.of(current_app).settings.api_key_pepper
    return accounts.authenticate(session, pepper=pepper, presented=presented, now=datetime.now(UTC))


def _by_token(session: Session, token: str) -> Principal:
    """Tie it to the sessions of `accounts`."""
    return sessions.authenticate(
        session, volatile=Resources.of(current_app).volatile, token=token, now=datetime.now(UTC)
    )
