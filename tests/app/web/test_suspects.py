from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from factories import make_key
from luckygas.access import Role, Tier
from luckygas.accounts import service
from luckygas.audit.tables import AuditEntry
from luckygas.resources import Resources
from luckygas.web.limits import Limits
from luckygas.web.suspects import watch_of

ORDERS = "/api/v1/orders"
ATTACK = f"{ORDERS}?status=x' or 1=1 --"


@pytest.fixture
def key(app: Flask, session: Session) -> Iterator[str]:
    """Return a key that may do everything, and let its holder in again in the end."""
    key = make_key(session, role=Role.ADMIN, tier=Tier.ENTERPRISE)
    yield key.reveal()
    watch_of(app).standings.lift(f"key:{key.id}")


def codes(client: FlaskClient, path: str, times: int, **options: object) -> list[str]:
    return [(client.get(path, **options).json or {}).get("code", "ok") for _ in range(times)]


def test_who_attacks_is_told_to_wait_and_blocked_if_they_do_not(from_outside: FlaskClient) -> None:
    assert codes(from_outside, ATTACK, 2) == ["suspicious_input"] * 2
    waiting = from_outside.get(ORDERS)
    assert waiting.status_code == 429
    assert 20 <= int(waiting.headers["Retry-After"]) <= 30
    assert codes(from_outside, ATTACK, 12) == ["challenged"] * 8 + ["blocked"] * 4
    blocked = from_outside.get("/api/v1/health")
    assert (blocked.status_code, blocked.json["code"]) == (403, "blocked")
    assert 890 <= int(blocked.headers["Retry-After"]) <= 900


def test_who_is_beyond_their_limit_and_attacks_is_blocked_all_the_same(from_outside: FlaskClient) -> None:
    assert codes(from_outside, ORDERS, 61)[-1] == "rate_limited"
    assert codes(from_outside, ATTACK, 2) == ["suspicious_input"] * 2
    assert codes(from_outside, ATTACK, 12)[-1] == "blocked"


def test_a_blocked_address_is_blocked_for_everybody_and_no_other_is(
    from_outside: FlaskClient, key: str, app: Flask
) -> None:
    codes(from_outside, "/wp-login.php", 14)
    assert from_outside.get(ORDERS, headers={"X-API-Key": key}).json["code"] == "blocked"
    assert app.test_client().get(ORDERS, headers={"X-API-Key": key}).status_code == 200
    other = {"X-API-Key": key, "X-Forwarded-For": "198.51.100.5"}
    assert app.test_client().get(ORDERS, headers=other).status_code == 200


def test_who_shows_a_key_answers_for_it_and_not_those_at_the_same_address(from_outside: FlaskClient, key: str) -> None:
    headers = {"X-API-Key": key}
    assert codes(from_outside, ATTACK, 2, headers=headers) == ["suspicious_input"] * 2
    assert codes(from_outside, ORDERS, 12, headers=headers) == ["challenged"] * 9 + ["blocked"] * 3
    assert from_outside.get(ORDERS).status_code == 401


def test_an_address_behind_a_proxy_cannot_make_itself_another(from_outside: FlaskClient, address: str) -> None:
    """nginx writes the last one; whatever a client sent before it is not believed."""
    for _ in range(3):
        from_outside.get(ATTACK, headers={"X-Forwarded-For": f"127.0.0.1, {address}"})
    assert from_outside.get("/api/v1/health").status_code == 429


def test_whoever_is_slowed_pays_four_times_as_much(from_outside: FlaskClient) -> None:
    from_outside.get(ATTACK)
    assert '"minute";r=51;' in from_outside.get(ORDERS).headers["RateLimit"]


def test_many_unknown_paths_are_probing_and_what_browsers_ask_for_is_not(from_outside: FlaskClient) -> None:
    assert codes(from_outside, "/favicon.ico", 12) == ["not_found"] * 12
    assert '"minute";r=47;' in from_outside.get(ORDERS).headers["RateLimit"]
    assert codes(from_outside, "/nothing", 12) == ["not_found"] * 12
    assert '"minute";r=25;' in from_outside.get(ORDERS).headers["RateLimit"]


def test_failed_log_ins_count_and_a_customer_that_is_not_there_does_not(
    from_outside: FlaskClient, key: str, app: Flask
) -> None:
    for number in range(3):
        from_outside.post("/api/v1/session", json={"login": f"nobody-{number}", "password": "wrong"})
    from_outside.get(ORDERS, headers={"X-API-Key": "lg_live_00000000_wrong"})
    assert codes(app.test_client(), "/api/v1/customers/999999", 40, headers={"X-API-Key": key}) == ["not_found"] * 40
    held = Resources.of(app).redis.hgetall(f"lg:score:address:{from_outside.environ_base['HTTP_X_FORWARDED_FOR']}")
    points = {name.decode(): round(float(value)) for name, value in held.items() if name.startswith(b"points")}
    assert points == {"points failed log-in": 3, "points wrong credential": 1}


def test_a_key_that_has_ended_and_no_key_at_all_are_no_offence(
    from_outside: FlaskClient, address: str, session: Session, app: Flask, key: str
) -> None:
    key_id = key.split("_")[2]
    service.get_key(session, key_id=key_id).revoked_at = service.get_key(session, key_id=key_id).created_at
    session.commit()
    assert codes(from_outside, ORDERS, 3, headers={"X-API-Key": key}) == ["unauthenticated"] * 3
    assert codes(from_outside, ORDERS, 3) == ["unauthenticated"] * 3
    assert not Resources.of(app).redis.exists(f"lg:score:address:{address}")


def test_decisions_are_counted_and_logged(from_outside: FlaskClient, address: str, session: Session) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0

    before = counted("luckygas_client_decisions_total", decision="challenged")
    offences = counted("luckygas_offences_total", reason="injection")
    codes(from_outside, ATTACK, 2)
    assert counted("luckygas_client_decisions_total", decision="challenged") == before + 1
    assert counted("luckygas_offences_total", reason="injection") == offences + 2
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "client_challenged")).one()
    assert (entry.entity, entry.entity_id, entry.origin) == ("clients", f"address:{address}", address)
    assert entry.changes["because"] == [None, "injection 20.0"]


def test_a_request_with_which_nothing_is_wrong_asks_redis_no_more_than_before(
    app: Flask, key: str, redis_url: str, from_outside: FlaskClient
) -> None:
    codes(from_outside, ATTACK, 2)  # so that there is somebody in the list
    Limits.of(app).quota.return_leases()  # or a thread gives back those of other tests, which costs questions
    client = app.test_client()
    headers = {"X-API-Key": key, "X-Forwarded-For": "198.51.100.6"}
    assert client.get(ORDERS, headers=headers).status_code == 200
    with Redis.from_url(redis_url) as redis:
        before = asked(redis)
        assert client.get(ORDERS, headers=headers).status_code == 200
        assert asked(redis) - before <= 1


def asked(redis: Redis) -> int:
    calls = redis.info("commandstats")
    return sum(calls.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval", "zrangebyscore"))


def test_without_redis_an_attacker_is_stopped_as_well(
    committing_app: Flask, app_with: Callable[..., Flask], closed_port: int
) -> None:
    assert committing_app, "what is decided is committed"

    app = app_with(redis_url=f"redis://luckygas_app@127.0.0.1:{closed_port}/0", web_instances=1, web_workers=1)
    client = app.test_client()
    client.environ_base["HTTP_X_FORWARDED_FOR"] = "198.51.100.7"
    answers = codes(client, ATTACK, 13)
    assert answers[:2] == ["suspicious_input"] * 2
    assert answers[-1] == "blocked"
