"""The service as gunicorn serves it, put together: its hooks, and the blueprints of all domains.

Not in the package itself: tools and other processes need a few of its modules, and would wait for all.
"""

import json

import click
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from luckygas.accounts import api_keys, api_me, api_people
from luckygas.accounts.callers import Callers
from luckygas.audit import api as audit
from luckygas.billing import api as billing
from luckygas.billing import api_closings as closings
from luckygas.billing import api_partners as partners
from luckygas.config import Settings
from luckygas.customers import api_csv as customers
from luckygas.cylinders import api as cylinders
from luckygas.deliveries import api as deliveries
from luckygas.drivers import api as drivers
from luckygas.jobs import api as jobs
from luckygas.ledger import api as ledger
from luckygas.ops import health, logging, metrics
from luckygas.orders import api as orders
from luckygas.orders import api_csv as orders_csv
from luckygas.predictions import api as predictions
from luckygas.resources import Authenticate, Resources
from luckygas.web import auth, cors, docs, etags, guard, limits, openapi, problems, reads, suspects
from luckygas.web.addresses import IdConverter, ShortIdConverter

LARGEST_BODY_BYTES = 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Return the service, configured from the environment unless `settings` are given; it connects to nothing yet."""
    settings = settings or Settings.from_environ()

    app = openapi.new_app(settings)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.json.ensure_ascii = False
    app.json.sort_keys = False
    # No view or hook is a coroutine, and Flask would look at each of them on every request.
    app.ensure_sync = lambda function: function
    app.url_map.converters |= {"id": IdConverter, "short": ShortIdConverter}
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    callers = Callers()
    callers.register(app)
    app.extensions["luckygas"] = Resources.create(
        settings,
        name=f"luckygas-web-{settings.instance}",
        authenticate=Authenticate(by_key=callers.by_key, by_token=callers.by_token),
        actor=auth.current_actor,
    )

    logging.register(app)
    metrics.register(app)
    cors.register(app)
    problems.register(app)
    suspects.register(app)
    limits.register(app)
    guard.register(app)
    reads.register(app)
    etags.register(app)
    health.register(app)
    for blueprint in (
        api_me.blueprint,
        api_people.blueprint,
        api_keys.blueprint,
        customers.blueprint,
        orders_csv.blueprint,
        orders.prices_blueprint,
        drivers.blueprint,
        cylinders.blueprint,
        deliveries.blueprint,
        billing.blueprint,
        partners.invoices_blueprint,
        partners.bank_blueprint,
        partners.webhooks_blueprint,
        closings.blueprint,
        ledger.blueprint,
        predictions.blueprint,
        predictions.suggestions_blueprint,
        jobs.blueprint,
        audit.blueprint,
    ):
        app.register_blueprint(blueprint)
    docs.register(app)
    return app


@click.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(json.dumps(create_app().extensions["luckygas.openapi"], ensure_ascii=False, indent=2))
