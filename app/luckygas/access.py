"""Who may do what: the words that routes, API keys and the OpenAPI document share.

Everything is denied unless a role's line in `GRANTS` says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Permission(StrEnum):
    """What a route can ask for, as `<domain>:<read or write>`."""

    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    PRICES_WRITE = "prices:write"
    DRIVERS_READ = "drivers:read"
    DRIVERS_WRITE = "drivers:write"
    CYLINDERS_READ = "cylinders:read"
    CYLINDERS_WRITE = "cylinders:write"
    ROUTES_READ = "routes:read"
    ROUTES_WRITE = "routes:write"
    DELIVERIES_WRITE = "deliveries:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"


class Role(StrEnum):
    """Who holds a key. A role is a fixed set of permissions."""

    ADMIN = "admin"
    DISPATCHER = "dispatcher"
    DRIVER = "driver"
    CUSTOMER = "customer"
    SERVICE = "service"


type Access = Permission | Literal["public"]
"""What a route declares: the permission it needs, or that it needs none."""

PUBLIC: Final = "public"

GRANTS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.DISPATCHER: frozenset(Permission),
    Role.DRIVER: frozenset(
        {
            Permission.CUSTOMERS_READ,
            Permission.ORDERS_READ,
            Permission.DRIVERS_READ,
            Permission.CYLINDERS_READ,
            Permission.ROUTES_READ,
            Permission.DELIVERIES_WRITE,
        }
    ),
    # A key is not tied to one customer's record yet, so any grant here would open everybody's data.
    Role.CUSTOMER: frozenset(),
    Role.SERVICE: frozenset({Permission.CUSTOMERS_READ, Permission.ORDERS_READ, Permission.ORDERS_WRITE}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller; `id` is safe to log and stable over the life of its key."""

    id: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Tell whether the role of this caller grants `permission`."""
        return permission in GRANTS[self.role]
