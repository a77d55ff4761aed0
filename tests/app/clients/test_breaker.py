import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pybreaker import CircuitBreakerError
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from luckygas.clients.breaker import Breaker, Memory


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
    return lambda: Breaker("test", Memory(memory), fail_max=3, reset_timeout=0.3, exclude=RefusalError)


def fail() -> None:
    raise FaultError


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        with pytest.raises(FaultError):
            breaker.call(fail)


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
    time.sleep(0.35)
    assert breaker.call(lambda: 1) == 1
    assert breaker.seconds_until_retry() is None


def test_it_counts_as_away_while_it_rests_and_not_until_somebody_calls(make) -> None:
    breaker = make()
    trip(breaker)
    assert breaker.seconds_until_retry() == pytest.approx(0.3, abs=0.2)
    time.sleep(0.35)
    assert breaker.seconds_until_retry() is None
    with pytest.raises(FaultError):
        breaker.call(fail)
    assert breaker.seconds_until_retry() == pytest.approx(0.3, abs=0.2)


def test_a_failed_trial_opens_it_again(make) -> None:
    breaker = make()
    trip(breaker)
    time.sleep(0.35)
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
    breaker = make()
    began = time.monotonic()
    threads = [threading.Thread(target=breaker.call, args=(lambda: time.sleep(0.2),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 0.6


def test_one_of_all_tries_whether_it_is_back(redis: Redis) -> None:
    breakers = [Breaker("test", Memory(redis), fail_max=3, reset_timeout=0.3, exclude=RefusalError) for _ in range(6)]
    trip(breakers[0])
    for breaker in breakers:
        with pytest.raises(CircuitBreakerError):
            breaker.call(lambda: 1)
    time.sleep(0.35)
    reached: list[int] = []

    def attempt(breaker: Breaker) -> None:
        def call() -> None:
            reached.append(1)
            time.sleep(0.2)

        with contextlib.suppress(CircuitBreakerError):
            breaker.call(call)

    threads = [threading.Thread(target=attempt, args=(breaker,)) for breaker in breakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reached) == 1
    assert breakers[-1].call(lambda: 1) == 1
