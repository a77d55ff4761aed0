"""All tables of the service, so that nothing which looks at the whole schema can miss one."""

from luckygas.accounts import models as accounts
from luckygas.customers import models as customers
from luckygas.db.base import Base
from luckygas.orders import models as orders
from luckygas.web import idempotency

__all__ = ["Base", "accounts", "customers", "idempotency", "orders"]
