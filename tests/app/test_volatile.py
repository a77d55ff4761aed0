from collections.abc import Callable, Iterator

import pytest
from redis import ConnectionError as AwayError
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from luckygas import volatile as module
from luckygas.volatile import REST_SECONDS, Volatile
from waiting import eventually

PATIENCE_SECONDS = 0.05
NEVER = Retry(NoBackoff(), 0)


@pytest.fixture
def hang(redis_url: str) -> Iterator[Callable[[int], None]]:
    """Have the server say nothing for some milliseconds."""
    with Redis.from_url(redis_url) as redis:
        yield redis.client_pause


@pytest.fixture
def volatile(redis_url: str) -> Iterator[Volatile]:
    redis = Redis.from_url(redis_url, socket_timeout=PATIENCE_SECONDS, retry=NEVER)
    volatile = Volatile(redis)
    yield volatile
    volatile.close()


def answers(volatile: Volatile) -> bool:
    return volatile.ask(lambda redis: redis.ping(), otherwise=False)


def until_it_answers(volatile: Volatile) -> None:
    eventually(lambda: answers(volatile), "an answer of redis")


def test_redis_is_asked_while_it_is_there_and_left_alone_for_a_while_after_it_failed(volatile: Volatile) -> None:
    asked = []

    def fail(_redis: Redis) -> int:
        asked.append(1)
        raise AwayError("away")

    until_it_answers(volatile)
    assert [volatile.ask(fail, otherwise=0) for _ in range(3)] == [0, 0, 0]
    assert len(asked) == 1
    volatile._rests_until -= REST_SECONDS  # noqa: SLF001
    until_it_answers(volatile)


def test_a_server_that_hangs_costs_one_question_its_patience_and_the_next_ones_nothing(
    volatile: Volatile, hang: Callable[[int], None]
) -> None:
    until_it_answers(volatile)
    hang(3000)
    asked = []

    def count(redis: Redis) -> bool:
        asked.append(1)
        return redis.ping()

    assert not any(volatile.ask(count, otherwise=False) for _ in range(200))
    assert len(asked) == 1
    until_it_answers(volatile)


def test_no_question_opens_a_connection_so_none_waits_for_sentinels(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    volatile = Volatile(Redis(port=silent_port, socket_timeout=2, socket_connect_timeout=2, retry=NEVER))
    volatile._is_away = False  # noqa: SLF001 - the server was there, and now a further connection is needed
    assert not answers(volatile)
    volatile.close()  # or what it says of that server, once it has given up, would be heard by another test


def test_who_is_not_there_at_the_beginning_is_found_later(
    volatile: Volatile, hang: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    hang(3000)
    assert not answers(volatile)
    eventually(lambda: caplog.messages, "a word about it")
    assert caplog.messages == ["redis does not answer, the service goes on without it"]
    until_it_answers(volatile)
