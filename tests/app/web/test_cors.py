from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

ORDERS = "/api/v1/orders"
SHOP, OTHER = "https://shop.example.tw", "https://other.example.tw"


def test_no_other_site_may_read_answers_unless_the_operator_says_so(app: Flask) -> None:
    response = app.test_client().options(ORDERS, headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"})
    assert not [name for name in response.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


@pytest.fixture
def shared(app_with: Callable[..., Flask]) -> FlaskClient:
    return app_with(cors_origins=(SHOP,)).test_client()


def test_a_site_of_the_list_may_call_by_a_key_and_see_the_headers(shared: FlaskClient) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    preflight = shared.options(ORDERS, headers=asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
    response = shared.get("/api/v1/health", headers={"Origin": SHOP})
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "RateLimit" in response.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", [OTHER, "null", "https://shop.example.tw.evil.example", None])
def test_all_others_are_not_and_caches_are_told_that_it_depends(shared: FlaskClient, origin: str | None) -> None:
    response = shared.get("/api/v1/health", headers={"Origin": origin} if origin else {})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]
