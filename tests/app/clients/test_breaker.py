import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pybreaker import CircuitBreakerError
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from luckygas.clients.breaker import Breaker, Memory
from waiting import eventually

RESET_SECONDS = 60


class FaultError(Exception):
    pass


class RefusalError(Exception):
    pass


@pytest.fixture
def redis(app) -> Iterator[Redis]:
    redis = app.extensions["luckygas"].redis
    redis.delete("lg:breaker:test", "lg:breaker:test:probe")
    yield redis
    redis.delete("lg:breaker:test", "lg:breaker:test:probe")


@pytest.fixture(params=["shared", "alone"])
def make(request, redis: Redis, closed_port: int) -> Callable[[], Breaker]:
    """Make breakers as several processes have them; without Redis each is alone."""
    away = Redis(port=closed_port, retry=Retry(NoBackoff(), 0))
    memory = redis if request.param == "shared" else away
    return lambda: made(memory)


def made(redis: Redis) -> Breaker:
    return Breaker("test", Memory(redis), fail_max=3, reset_timeout=RESET_SECONDS, exclude=RefusalError)


def fail() -> None:
    raise FaultError


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        with pytest.raises(FaultError):
            breaker.call(fail)


def rest(breaker: Breaker) -> None:
    """Let the time go by for which the other side is left alone."""
    breaker._storage.opened_at -= timedelta(seconds=RESET_SECONDS)  # noqa: SLF001


def test_it_opens_after_failures_in_a_row_and_closes_after_a_success(make) -> None:
    breaker = make()
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(FaultError):
                breaker.call(fail)
        assert breaker.call(lambda: 1) == 1
    trip(breaker)
    with pytest.raises(CircuitBreakerError):
        breaker.call(lambda: 1)
    rest(breaker)
    assert breaker.call(lambda: 1) == 1
    assert breaker.seconds_until_retry() is None


def test_it_counts_as_away_while_it_rests_and_not_until_somebody_calls(make) -> None:
    breaker = make()
    trip(breaker)
    assert breaker.seconds_until_retry() == pytest.approx(RESET_SECONDS, abs=30)
    rest(breaker)
    assert breaker.seconds_until_retry() is None
    with pytest.raises(FaultError):
        breaker.call(fail)
    assert breaker.seconds_until_retry() == pytest.approx(RESET_SECONDS, abs=30)


def test_a_failed_trial_opens_it_again(make) -> None:
    breaker = make()
    trip(breaker)
    rest(breaker)
    with pytest.raises(FaultError):
        breaker.call(fail)
    with pytest.raises(CircuitBreakerError):
        breaker.call(lambda: 1)


def test_a_refusal_is_no_failure(make) -> None:
    breaker = make()

    def refuse() -> None:
        raise RefusalError

    for _ in range(9):
        with pytest.raises(RefusalError):
            breaker.call(refuse)
    assert breaker.call(lambda: 1) == 1


def test_calls_run_side_by_side(make) -> None:
    breaker, all_are_inside = make(), threading.Barrier(5)
    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(lambda _: breaker.call(all_are_inside.wait, 30), range(5))) == [0, 1, 2, 3, 4]


def test_one_of_all_tries_whether_it_is_back(redis: Redis) -> None:
    breakers = [made(redis) for _ in range(6)]
    trip(breakers[0])
    for breaker in breakers:
        with pytest.raises(CircuitBreakerError):
            breaker.call(lambda: 1)
    rest(breakers[0])
    outcomes: list[str] = []
    all_have_tried = threading.Event()

    def call() -> None:
        outcomes.append("reached")
        all_have_tried.wait(60)

    def attempt(breaker: Breaker) -> None:
        try:
            breaker.call(call)
        except CircuitBreakerError:
            outcomes.append("refused")

    with ThreadPoolExecutor(6) as pool:
        attempts = [pool.submit(attempt, breaker) for breaker in breakers]
        eventually(lambda: len(outcomes) == 6, "an attempt of each")
        all_have_tried.set()
        assert [attempt.result() for attempt in attempts] == [None] * 6
    assert sorted(outcomes) == ["reached", *["refused"] * 5]
    assert breakers[-1].call(lambda: 1) == 1
