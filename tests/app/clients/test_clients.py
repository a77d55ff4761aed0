import time
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

import partners as stub
from luckygas.clients import BREAKERS, Clients
from luckygas.clients.einvoice import Item
from luckygas.clients.http import Away, NotConfigured, Refused, is_signed, signature
from partners import Partners
from waiting import eventually

CALLS = {
    "google": lambda clients: clients.google.sequence(depot="倉庫", stops=["甲", "乙", "丙"]),
    "sms": lambda clients: clients.sms.text(to="0912345678", text="今天送達", reference="order-1"),
    "banking": lambda clients: clients.banking.open_account(reference="bill-1", amount_twd=1700),
    "einvoice": lambda clients: clients.einvoice.issue(
        reference="order1", buyer="04595257", items=[Item("20 公斤", 2, 850)], total_twd=1700
    ),
}


@pytest.fixture
def partners() -> Iterator[Partners]:
    with stub.running() as running:
        yield running


@pytest.fixture
def redis(app) -> Iterator[Redis]:
    redis = app.extensions["luckygas"].redis
    redis.delete(*(f"lg:breaker:{name}{end}" for name in BREAKERS for end in ("", ":probe")))
    yield redis
    redis.delete(*(f"lg:breaker:{name}{end}" for name in BREAKERS for end in ("", ":probe")))


@pytest.fixture
def clients(partners: Partners, redis: Redis) -> Clients:
    return Clients.create(partners.configuration, redis)


def test_each_answers_what_it_was_asked_for(clients: Clients, partners: Partners) -> None:
    assert CALLS["google"](clients) == [2, 1, 0]
    assert CALLS["sms"](clients) == "#order-1"
    assert CALLS["banking"](clients) == CALLS["banking"](clients) == "99880010000001"
    first, again = CALLS["einvoice"](clients), CALLS["einvoice"](clients)
    assert first == again
    clients.einvoice.void(number=first.number, reason="客人退貨")
    partners.settlements = [
        {"id": "S-1", "account": "99880010000001", "amount_twd": 1700, "paid_at": "2026-05-01T10:00:00+08:00"}
    ]
    (settled,) = clients.banking.settlements(day=date(2026, 5, 1))
    assert (settled.id, settled.amount_twd) == ("S-1", 1700)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", ["500", "429", "timeout", "malformed"])
def test_whatever_is_wrong_on_the_other_side_is_away(
    clients: Clients, partners: Partners, name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    partners.mode = mode
    if mode == "timeout":  # only then: a busy machine is slow to answer, too, and would be asked once more
        monkeypatch.setattr("luckygas.clients.http.TIMEOUT_SECONDS", (2, 0.5))
    began = time.monotonic()
    with pytest.raises(Away):
        CALLS[name](clients)
    assert time.monotonic() - began < 15
    eventually(lambda: len(partners.requests) >= 3, "the last of the requests")
    assert len(partners.requests) == 3  # each of these requests may be repeated


@pytest.mark.parametrize("name", CALLS)
def test_slow_is_not_away(clients: Clients, partners: Partners, name: str) -> None:
    partners.mode = "slow"
    assert CALLS[name](clients)


@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_is_not_repeated_and_opens_nothing(clients: Clients, partners: Partners, name: str) -> None:
    partners.mode = "400"
    for _ in range(6):
        with pytest.raises(Refused):
            CALLS[name](clients)
    assert len(partners.requests) == 6


def test_an_error_inside_of_a_good_answer_is_one(clients: Clients) -> None:
    with pytest.raises(Refused):
        clients.sms.text(to="0900000000", text="x", reference="order-2")


@pytest.mark.parametrize("name", CALLS)
def test_after_so_many_failures_nobody_is_asked_any_more(
    clients: Clients, partners: Partners, redis, name: str
) -> None:
    partners.mode = "500"
    for _ in range(BREAKERS[name][0]):
        with pytest.raises(Away):
            CALLS[name](clients)
    asked = len(partners.requests)
    for other in (clients, Clients.create(partners.configuration, redis)):  # as in another process
        with pytest.raises(Away, match="left alone"):
            CALLS[name](other)
        assert getattr(other, name).breaker.seconds_until_retry() == pytest.approx(BREAKERS[name][1], abs=30)
    assert len(partners.requests) == asked


def test_without_an_account_it_says_what_to_do(redis: Redis) -> None:
    with pytest.raises(NotConfigured, match="set LUCKYGAS_GOOGLE_URL"):
        CALLS["google"](Clients.create({}, redis))


def test_an_open_breaker_shows_in_health(app, redis: Redis) -> None:
    breaker = app.extensions["luckygas"].clients.sms.breaker
    breaker.open()
    health = app.test_client().get("/api/v1/health")
    assert (health.status_code, health.json["status"]) == (200, "degraded")
    assert health.json["checks"]["partners"]["reason"].startswith("sms is tried again in 1")


@given(body=st.binary(), other=st.binary(), at=st.integers(0, 10**12 - 1))
def test_only_the_signed_body_passes_and_only_for_minutes(body: bytes, other: bytes, at: int) -> None:
    made = signature("secret", body, at=at)
    assert is_signed("secret", body, made, now=at + 299)
    assert not is_signed("secret", body, made, now=at + 301)
    assert not is_signed("another", body, made, now=at)
    assert is_signed("secret", other, made, now=at) == (other == body)


@given(st.text())
def test_nothing_else_is_a_signature(presented: str) -> None:
    assert not is_signed("secret", b"body", presented, now=0)
