from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from factories import make_key
from luckygas.access import Role, Tier
from luckygas.resources import Resources
from luckygas.suspicion.subjects import network_of

ORDERS = "/api/v1/orders"
SESSION = {"login": "nobody", "password": "not the one at all"}


@pytest.fixture
def client_of(app: Flask, session: Session) -> Callable[..., FlaskClient]:
    """Return clients that hold a key of a tier."""

    def make(tier: Tier, role: Role = Role.SERVICE) -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(session, role=role, tier=tier).reveal()}"
        return client

    return make


def statuses(client: FlaskClient, path: str, times: int) -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


def test_a_basic_key_may_ask_twenty_times_a_minute_and_is_told_so(client_of: Callable[..., FlaskClient]) -> None:
    client = client_of(Tier.BASIC)
    first = client.get(ORDERS)
    assert first.headers["RateLimit-Policy"] == '"minute";q=20;w=60, "hour";q=100;w=3600'
    assert first.headers["RateLimit"] == '"minute";r=19;t=60, "hour";r=99;t=3600'
    assert "Retry-After" not in first.headers
    assert statuses(client, ORDERS, 21) == [200] * 19 + [429] * 2
    refused = client.get(ORDERS)
    assert refused.json["code"] == "rate_limited"
    assert "20 in a minute" in refused.json["detail"]
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"minute";r=0;t=')
    assert '"hour";r=80;t=' in refused.headers["RateLimit"]


@pytest.mark.parametrize(
    ("tier", "role", "minute", "hour"),
    [
        (Tier.BASIC, Role.SERVICE, 20, 100),
        (Tier.STANDARD, Role.SERVICE, 100, 1000),
        (Tier.PREMIUM, Role.SERVICE, 500, 10_000),
        (Tier.ENTERPRISE, Role.SERVICE, 2000, 100_000),
        (Tier.BASIC, Role.DISPATCHER, 40, 200),
        (Tier.ENTERPRISE, Role.ADMIN, 10_000, 500_000),
    ],
)
def test_a_tier_and_a_role_make_the_limits(
    client_of: Callable[..., FlaskClient], tier: Tier, role: Role, minute: int, hour: int
) -> None:
    policy = client_of(tier, role).get(ORDERS).headers["RateLimit-Policy"]
    assert policy == f'"minute";q={minute};w=60, "hour";q={hour};w=3600'


def test_two_instances_count_together(app: Flask, app_with: Callable[..., Flask], session: Session) -> None:
    key = make_key(session, role=Role.SERVICE, tier=Tier.BASIC).reveal()
    other = app_with(instance="b")
    for sessions in (Resources.of(other).sessions, Resources.of(other).read_sessions):
        sessions.configure(bind=session.get_bind(), join_transaction_mode="create_savepoint")
    clients = [app.test_client(), other.test_client()]
    answers = [clients[n % 2].get(ORDERS, headers={"X-API-Key": key}).status_code for n in range(30)]
    assert answers == [200] * 20 + [429] * 10


def test_a_search_costs_more_and_has_a_limit_of_its_own(client_of: Callable[..., FlaskClient]) -> None:
    response = client_of(Tier.STANDARD).get("/api/v1/customers")
    assert response.headers["RateLimit-Policy"].endswith('"search-minute";q=60;w=60')
    assert response.headers["RateLimit"] == '"minute";r=98;t=60, "hour";r=998;t=3600, "search-minute";r=59;t=60'


def test_a_whole_file_is_dear(client_of: Callable[..., FlaskClient]) -> None:
    response = client_of(Tier.STANDARD, Role.DISPATCHER).get("/api/v1/orders/export")
    assert response.status_code == 200
    assert response.headers["RateLimit"] == (
        '"minute";r=180;t=60, "hour";r=1980;t=3600, "export-minute";r=11;t=60, "export-hour";r=59;t=3600'
    )


def test_what_a_key_may_not_do_costs_it_as_well(client_of: Callable[..., FlaskClient]) -> None:
    assert statuses(client_of(Tier.BASIC), "/api/v1/jobs", 22) == [403] * 20 + [429] * 2


def test_whoever_shows_nothing_is_counted_by_address(from_outside: FlaskClient) -> None:
    assert statuses(from_outside, ORDERS, 50) == [401] * 50
    assert from_outside.get(ORDERS, headers={"X-API-Key": "nonsense"}).status_code == 401
    assert statuses(from_outside, "/api/v1/nothing", 8) == [404] * 8
    assert statuses(from_outside, "/favicon.ico", 3) == [404, 429, 429]
    assert from_outside.get("/api/v1/openapi.json").status_code == 429
    assert from_outside.get(ORDERS).status_code == 429
    assert from_outside.get("/api/v1/health").status_code == 200


def test_a_key_is_not_stopped_by_what_others_do_at_its_address(
    from_outside: FlaskClient, client_of: Callable[..., FlaskClient], address: str
) -> None:
    assert statuses(from_outside, ORDERS, 61)[-1] == 429
    headers = {"X-Forwarded-For": address}
    assert client_of(Tier.BASIC).get(ORDERS, headers=headers).status_code == 200


def test_logging_in_has_a_limit_of_its_own_whatever_the_name(from_outside: FlaskClient) -> None:
    answers = [from_outside.post("/api/v1/session", json=SESSION | {"login": f"nobody-{n}"}) for n in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1].json["code"] == "rate_limited"
    assert "10 in a minute" in answers[-1].json["detail"]


def test_this_machine_itself_and_health_are_not_counted(app: Flask) -> None:
    client = app.test_client()
    assert set(statuses(client, "/nothing", 100)) == {404}
    assert "RateLimit" not in client.get("/nothing").headers
    assert "RateLimit" not in client.get("/api/v1/health").headers


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (None, None),
        ("", None),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
    ],
)
def test_an_address_stands_for_whoever_has_it(address: str | None, network: str | None) -> None:
    assert network_of(address) == network


def test_without_redis_nothing_fails_and_limits_hold(
    app: Flask, app_with: Callable[..., Flask], session: Session, closed_port: int
) -> None:
    alone = app_with(redis_url=f"redis://luckygas_app@127.0.0.1:{closed_port}/0", web_instances=2, web_workers=2)
    for sessions in (Resources.of(alone).sessions, Resources.of(alone).read_sessions):
        sessions.configure(bind=session.get_bind(), join_transaction_mode="create_savepoint")
    key = make_key(session, role=Role.SERVICE, tier=Tier.BASIC).reveal()
    client = alone.test_client()
    client.environ_base["HTTP_X_API_KEY"] = key
    assert statuses(client, ORDERS, 7) == [200] * 5 + [429] * 2
