"""All tables of the service, so that nothing which looks at the whole schema can miss one."""

from luckygas.accounts import models as accounts
from luckygas.audit import tables as audit
from luckygas.billing import models as billing
from luckygas.customers import models as customers
from luckygas.cylinders import models as cylinders
from luckygas.db.base import Base
from luckygas.deliveries import models as deliveries
from luckygas.drivers import models as drivers
from luckygas.jobs import tables as jobs
from luckygas.ledger import models as ledger
from luckygas.orders import models as orders
from luckygas.predictions import models as predictions
from luckygas.web import idempotency

__all__ = [
    "Base",
    "accounts",
    "audit",
    "billing",
    "customers",
    "cylinders",
    "deliveries",
    "drivers",
    "idempotency",
    "jobs",
    "ledger",
    "orders",
    "predictions",
]
