"""The Lucky Gas service."""

from datetime import UTC, datetime
from functools import partial

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.middleware.proxy_fix import ProxyFix

from luckygas.access import Principal
from luckygas.accounts import service as accounts
from luckygas.config import Settings
from luckygas.customers import api as customers
from luckygas.cylinders import api as cylinders
from luckygas.deliveries import api as deliveries
from luckygas.drivers import api as drivers
from luckygas.jobs import api as jobs
from luckygas.ops import health, logging
from luckygas.orders import api as orders
from luckygas.resources import Resources
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
    authenticate = partial(_authenticate, settings.api_key_pepper)
    app.extensions["luckygas"] = Resources.create(settings, authenticate=authenticate)

    logging.register(app)
    problems.register(app)
    reads.register(app)
    health.register(app)
    for blueprint in (
        customers.blueprint,
        orders.blueprint,
        orders.prices_blueprint,
        drivers.blueprint,
        cylinders.blueprint,
        deliveries.blueprint,
        jobs.blueprint,
    ):
        app.register_blueprint(blueprint)
    docs.register(app)
    return app


def _authenticate(pepper: str, session: Session, presented: str) -> Principal:
    """Tie the web layer, which knows no domain, to the keys of `accounts`."""
    return accounts.authenticate(session, pepper=pepper, presented=presented, now=datetime.now(UTC))
