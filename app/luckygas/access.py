"""Who may do what: the words that routes, API keys and the OpenAPI document share.

Everything is denied unless a role's line in `GRANTS` says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Permission(StrEnum):
    """What a route can ask for, as `<domain>:<read or write>`."""

    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    AUDIT_READ = "audit:read"
    EXPORTS_READ = "exports:read"
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
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    PREDICTIONS_READ = "predictions:read"
    SUGGESTIONS_WRITE = "suggestions:write"
    CLOSINGS_WRITE = "closings:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"


class Role(StrEnum):
    """Who logs in or holds a key. A role is a fixed set of permissions."""

    ADMIN = "admin"
    DISPATCHER = "dispatcher"
    DRIVER = "driver"
    CUSTOMER = "customer"
    SERVICE = "service"


class Tier(StrEnum):
    """How much a key may ask for; `web.limits` has the figures."""

    BASIC = "basic"
    STANDARD = "standard"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


type Access = Permission | Literal["public", "signed_in"]
"""What a route declares: the permission it needs, or that it needs none, or that it is about whoever logged in."""

PUBLIC: Final = "public"
SIGNED_IN: Final = "signed_in"

ADMINS_ONLY: Final = frozenset(
    {
        Permission.PEOPLE_READ,
        Permission.PEOPLE_WRITE,
        Permission.KEYS_READ,
        Permission.KEYS_WRITE,
        Permission.AUDIT_READ,
    }
)

GRANTS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.DISPATCHER: frozenset(Permission) - ADMINS_ONLY,
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
    """The authenticated caller; `id` is safe to log and stable over the life of its key or person."""

    id: str
    role: Role
    person_id: int | None = None
    must_change_password: bool = False
    scopes: frozenset[str] | None = None
    """What of its role's permissions a key has; None is all of them."""
    tier: Tier = Tier.PREMIUM
    """That of a key; people count as premium."""

    def may(self, permission: Permission) -> bool:
        """Tell whether this caller has `permission`, and nothing has to be done before."""
        return permission in self.permissions() and not self.must_change_password

    def permissions(self) -> frozenset[Permission]:
        """Return all that the role grants and the scopes leave."""
        granted = GRANTS[self.role]
        return granted if self.scopes is None else granted & self.scopes
