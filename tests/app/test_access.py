import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from luckygas.access import GRANTS, PUBLIC, SIGNED_IN, Permission, Role
from luckygas.web.blueprint import access_of

READERS = {Role.ADMIN, Role.DISPATCHER, Role.DRIVER, Role.SERVICE}
ADMINS = {Role.ADMIN}
OFFICE = {Role.ADMIN, Role.DISPATCHER}
CREW = OFFICE | {Role.DRIVER}
# Every route that is not public, what it asks for, and who has that. A new route fails here until it has its line.
MATRIX = {
    ("POST", "/api/v1/keys", "keys:write"): ADMINS,
    ("GET", "/api/v1/keys", "keys:read"): ADMINS,
    ("GET", "/api/v1/keys/<short:key_id>", "keys:read"): ADMINS,
    ("GET", "/api/v1/keys/<short:key_id>/uses", "keys:read"): ADMINS,
    ("POST", "/api/v1/keys/<short:key_id>/rotation", "keys:write"): ADMINS,
    ("DELETE", "/api/v1/keys/<short:key_id>", "keys:write"): ADMINS,
    ("POST", "/api/v1/people", "people:write"): ADMINS,
    ("GET", "/api/v1/people", "people:read"): ADMINS,
    ("GET", "/api/v1/people/<id:person_id>", "people:read"): ADMINS,
    ("PATCH", "/api/v1/people/<id:person_id>", "people:write"): ADMINS,
    ("POST", "/api/v1/people/<id:person_id>/password", "people:write"): ADMINS,
    ("DELETE", "/api/v1/people/<id:person_id>/sessions", "people:write"): ADMINS,
    ("POST", "/api/v1/customers", "customers:write"): OFFICE,
    ("GET", "/api/v1/customers", "customers:read"): READERS,
    ("GET", "/api/v1/customers/<id:customer_id>", "customers:read"): READERS,
    ("PUT", "/api/v1/customers/<id:customer_id>", "customers:write"): OFFICE,
    ("POST", "/api/v1/customers/<id:customer_id>/deposits", "customers:write"): OFFICE,
    ("GET", "/api/v1/customers/<id:customer_id>/deposits", "customers:read"): READERS,
    ("GET", "/api/v1/customers/export", "exports:read"): OFFICE,
    ("POST", "/api/v1/customers/import", "customers:write"): OFFICE,
    ("GET", "/api/v1/orders/export", "exports:read"): OFFICE,
    ("POST", "/api/v1/orders", "orders:write"): OFFICE | {Role.SERVICE},
    ("GET", "/api/v1/orders", "orders:read"): READERS,
    ("GET", "/api/v1/orders/<id:order_id>", "orders:read"): READERS,
    ("PUT", "/api/v1/orders/<id:order_id>", "orders:write"): OFFICE | {Role.SERVICE},
    ("POST", "/api/v1/orders/<id:order_id>/cancel", "orders:write"): OFFICE | {Role.SERVICE},
    ("GET", "/api/v1/orders/<id:order_id>/events", "orders:read"): READERS,
    ("POST", "/api/v1/prices", "prices:write"): OFFICE,
    ("GET", "/api/v1/prices", "orders:read"): READERS,
    ("POST", "/api/v1/drivers", "drivers:write"): OFFICE,
    ("GET", "/api/v1/drivers", "drivers:read"): CREW,
    ("GET", "/api/v1/drivers/<id:driver_id>", "drivers:read"): CREW,
    ("PUT", "/api/v1/drivers/<id:driver_id>", "drivers:write"): OFFICE,
    ("POST", "/api/v1/cylinders", "cylinders:write"): OFFICE,
    ("GET", "/api/v1/cylinders", "cylinders:read"): CREW,
    ("GET", "/api/v1/cylinders/<id:cylinder_id>", "cylinders:read"): CREW,
    ("GET", "/api/v1/cylinders/<id:cylinder_id>/moves", "cylinders:read"): CREW,
    ("PUT", "/api/v1/cylinders/<id:cylinder_id>/inspection", "cylinders:write"): OFFICE,
    ("POST", "/api/v1/cylinders/load", "cylinders:write"): OFFICE,
    ("POST", "/api/v1/cylinders/unload", "cylinders:write"): OFFICE,
    ("POST", "/api/v1/cylinders/refill", "cylinders:write"): OFFICE,
    ("GET", "/api/v1/cylinders/stock", "cylinders:read"): CREW,
    ("POST", "/api/v1/routes", "routes:write"): OFFICE,
    ("GET", "/api/v1/routes", "routes:read"): CREW,
    ("GET", "/api/v1/routes/<id:route_id>", "routes:read"): CREW,
    ("POST", "/api/v1/routes/<id:route_id>/start", "deliveries:write"): CREW,
    ("POST", "/api/v1/routes/<id:route_id>/stops/<id:order_id>/deliver", "deliveries:write"): CREW,
    ("POST", "/api/v1/routes/<id:route_id>/stops/<id:order_id>/fail", "deliveries:write"): CREW,
    ("GET", "/api/v1/customers/<id:customer_id>/account", "billing:read"): OFFICE,
    ("PUT", "/api/v1/customers/<id:customer_id>/account", "billing:write"): OFFICE,
    ("POST", "/api/v1/payments", "billing:write"): OFFICE,
    ("POST", "/api/v1/hand-ins", "billing:write"): OFFICE,
    ("GET", "/api/v1/bills", "billing:read"): OFFICE,
    ("GET", "/api/v1/bills/<id:bill_id>", "billing:read"): OFFICE,
    ("GET", "/api/v1/invoices", "billing:read"): OFFICE,
    ("GET", "/api/v1/invoices/<id:invoice_id>", "billing:read"): OFFICE,
    ("GET", "/api/v1/bank-payments", "billing:read"): OFFICE,
    ("GET", "/api/v1/bank-payments/<id:payment_id>", "billing:read"): OFFICE,
    ("POST", "/api/v1/bank-payments/<id:payment_id>/assignment", "billing:write"): OFFICE,
    ("GET", "/api/v1/closings/preview", "billing:read"): OFFICE,
    ("POST", "/api/v1/closings", "closings:write"): OFFICE,
    ("GET", "/api/v1/closings", "billing:read"): OFFICE,
    ("GET", "/api/v1/closings/<id:closing_id>", "billing:read"): OFFICE,
    ("GET", "/api/v1/ledger/entries", "billing:read"): OFFICE,
    ("GET", "/api/v1/ledger/entries/<id:entry_id>", "billing:read"): OFFICE,
    ("POST", "/api/v1/ledger/entries/<id:entry_id>/reversal", "billing:write"): OFFICE,
    ("GET", "/api/v1/ledger/balances", "billing:read"): OFFICE,
    ("GET", "/api/v1/predictions", "predictions:read"): OFFICE,
    ("GET", "/api/v1/predictions/accuracy", "predictions:read"): OFFICE,
    ("GET", "/api/v1/suggestions", "predictions:read"): OFFICE,
    ("GET", "/api/v1/suggestions/<id:suggestion_id>", "predictions:read"): OFFICE,
    ("POST", "/api/v1/suggestions/<id:suggestion_id>/accept", "suggestions:write"): OFFICE,
    ("POST", "/api/v1/suggestions/<id:suggestion_id>/dismiss", "suggestions:write"): OFFICE,
    ("GET", "/api/v1/jobs", "jobs:read"): OFFICE,
    ("GET", "/api/v1/audit", "audit:read"): ADMINS,
    ("POST", "/api/v1/jobs/<id:job_id>/replay", "jobs:write"): OFFICE,
}
PUBLIC_RULES = {
    "/healthz",
    "/api/v1/health",
    "/api/v1/openapi.json",
    "/api/v1/docs",
    "/api/v1/session",
}
FILE_RULES = {"/static/<release>/<name>"}
SIGNED_RULES = {"/api/v1/webhooks/banking", "/api/v1/webhooks/einvoice"}
# What people do with their own account; a key has none.
SIGNED_IN_ROUTES = {
    ("DELETE", "/api/v1/session"),
    ("GET", "/api/v1/me"),
    ("GET", "/api/v1/me/sessions"),
    ("DELETE", "/api/v1/me/sessions"),
    ("PUT", "/api/v1/me/password"),
    ("POST", "/api/v1/me/totp"),
    ("PUT", "/api/v1/me/totp"),
    ("DELETE", "/api/v1/me/totp"),
}


def path_of(rule: str) -> str:
    return re.sub(r"<[^>]+>", "1", re.sub(r"<short:[^>]+>", "00000000", rule))


def test_every_route_is_in_the_matrix_or_public(app: Flask) -> None:
    guarded, public, own = set(), set(), set()
    for rule in app.url_map.iter_rules():
        access = access_of(app.view_functions[rule.endpoint])
        if access == PUBLIC:
            public.add(rule.rule)
        elif access == SIGNED_IN:
            own |= {(method, rule.rule) for method in rule.methods - {"HEAD", "OPTIONS"}}
        else:
            guarded |= {(method, rule.rule, access) for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert guarded == set(MATRIX)
    assert own == SIGNED_IN_ROUTES
    assert public == PUBLIC_RULES | SIGNED_RULES | FILE_RULES


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(
    client_as: Callable[[Role], FlaskClient], route: tuple[str, str, str], role: Role
) -> None:
    method, rule, _ = route
    response = client_as(role).open(path_of(rule), method=method, json=None if method == "GET" else {})
    if role in MATRIX[route]:
        assert response.status_code in {200, 404, 415, 422}
    else:
        assert response.status_code == 403
        assert response.json["code"] == "forbidden"


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_without_a_key_nothing_is_open(app: Flask, route: tuple[str, str, str]) -> None:
    method, rule, _ = route
    assert app.test_client().open(path_of(rule), method=method).status_code == 401


@pytest.mark.parametrize("route", sorted(SIGNED_IN_ROUTES), ids=" ".join)
def test_a_key_has_no_account_of_its_own(client: FlaskClient, app: Flask, route: tuple[str, str]) -> None:
    method, path = route
    assert app.test_client().open(path, method=method).status_code == 401
    assert client.open(path, method=method).status_code == 403


@pytest.mark.parametrize("rule", sorted(PUBLIC_RULES - {"/api/v1/session"}))
def test_public_routes_need_no_key(app: Flask, rule: str) -> None:
    assert app.test_client().get(rule).status_code == 200


def test_a_customers_key_is_worth_nothing_until_it_is_tied_to_one_customer() -> None:
    assert GRANTS[Role.CUSTOMER] == frozenset()


def test_every_permission_is_granted_to_somebody_and_every_role_has_a_line() -> None:
    assert set(GRANTS) == set(Role)
    assert frozenset().union(*GRANTS.values()) == frozenset(Permission)
