"""Several quotas stand for several processes; all count in the same Redis."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from luckygas.access import Role, Tier
from luckygas.volatile import Volatile
from luckygas.web.limits import _charges
from luckygas.web.quota import Quota
from luckygas.web.windows import Charge, Window
from outage import cut_off, reconnect
from waiting import eventually

MINUTE, HOUR = Window("minute", 20, 60), Window("hour", 100, 3600)
CHARGES = [Charge(MINUTE, 1), Charge(HOUR, 1)]
LARGE = [Charge(Window("minute", 2000, 60), 1), Charge(Window("hour", 100_000, 3600), 1)]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def process(redis_url: str) -> Iterator[Callable[[], Quota]]:
    """Make quotas of their own connections; four such processes share a limit while Redis is away."""
    held: list[Volatile] = []

    def make() -> Quota:
        held.append(Volatile(Redis.from_url(redis_url, socket_timeout=5)))
        return Quota(held[-1], processes=4)

    yield make
    for volatile in held:
        volatile.close()


def allowed(quota: Quota, subject: str, charges: Sequence[Charge], times: int, *, lease: int = 0) -> int:
    return sum(quota.take(subject, charges, lease=lease).allowed for _ in range(times))


def counted(redis: Redis, subject: str, window: str = "minute") -> int:
    return int(redis.get(f"lg:quota:{subject}:{window}") or 0)


@pytest.mark.parametrize("tier", Tier)
def test_processes_and_threads_that_race_are_allowed_exactly_the_limit(
    process: Callable[[], Quota], subject: str, redis: Redis, tier: Tier
) -> None:
    charges, lease = _charges(tier, Role.SERVICE, 1, ())
    assert (lease > 0) == (tier in {Tier.PREMIUM, Tier.ENTERPRISE})
    limit = charges[0].window.limit
    processes = [process() for _ in range(4)]
    start = threading.Barrier(8)

    def race(quota: Quota) -> int:
        start.wait()
        return allowed(quota, subject, charges, limit // 6, lease=lease)

    with ThreadPoolExecutor(8) as threads:
        total = sum(threads.map(race, processes * 2))
    # What others held when a last one was refused is given back, and can be had.
    for quota in processes:
        quota.return_leases()
    total += allowed(processes[0], subject, charges, limit // 3, lease=lease)
    assert total == limit
    assert counted(redis, subject) == limit
    assert counted(redis, subject, "hour") == limit


def test_what_is_refused_costs_nothing_and_says_what_is_left(process: Callable[[], Quota], subject: str) -> None:
    quota = process()
    assert allowed(quota, subject, CHARGES, 18) == 18
    dear = [Charge(MINUTE, 3), Charge(HOUR, 3)]
    verdict = quota.take(subject, dear)
    assert not verdict.allowed
    assert [state.window.name for state in verdict.lacking] == ["minute"]
    assert [(state.remaining, state.window.limit) for state in verdict.states] == [(2, 20), (82, 100)]
    assert 0 < verdict.states[0].seconds <= 60 < verdict.states[1].seconds <= 3600
    assert allowed(quota, subject, CHARGES, 5) == 2


def test_a_window_begins_anew_when_it_ended_and_the_longer_one_goes_on(
    process: Callable[[], Quota], subject: str, redis: Redis
) -> None:
    quota = process()
    assert allowed(quota, subject, CHARGES, 30) == 20
    redis.pexpire(f"lg:quota:{subject}:minute", 1)
    eventually(lambda: not counted(redis, subject), "the end of the minute")
    assert allowed(quota, subject, CHARGES, 30) == 20
    assert counted(redis, subject, "hour") == 40


def test_every_counter_ends_with_its_window(process: Callable[[], Quota], subject: str, redis: Redis) -> None:
    quota = process()
    quota.take(subject, CHARGES)
    ends = [redis.pexpiretime(f"lg:quota:{subject}:{name}") for name in ("minute", "hour")]
    quota.take(subject, CHARGES)
    assert [redis.pexpiretime(f"lg:quota:{subject}:{name}") for name in ("minute", "hour")] == ends
    assert 3_539_000 < ends[1] - ends[0] < 3_541_000


def test_a_lease_saves_questions_and_is_given_back(process: Callable[[], Quota], subject: str, redis: Redis) -> None:
    quota = process()
    first = quota.take(subject, LARGE, lease=10)
    assert counted(redis, subject) == 11
    assert first.states[0].remaining == 1999
    second = quota.take(subject, LARGE, lease=10)
    assert second.states[0].remaining == 1998
    assert counted(redis, subject) == 11
    quota.return_leases()
    assert counted(redis, subject) == counted(redis, subject, "hour") == 2


def test_a_lease_goes_back_by_itself_when_nobody_asks_any_more(
    process: Callable[[], Quota], subject: str, redis: Redis
) -> None:
    process().take(subject, LARGE, lease=10)
    eventually(lambda: counted(redis, subject) == 1, "the return of the lease")


def test_a_lease_of_a_window_that_ended_is_not_given_to_the_next_one(
    process: Callable[[], Quota], subject: str, redis: Redis
) -> None:
    old, new = process(), process()
    old.take(subject, LARGE, lease=10)
    redis.delete(f"lg:quota:{subject}:minute")
    assert allowed(new, subject, LARGE, 5) == 5
    old.return_leases()
    assert counted(redis, subject) == 5
    assert counted(redis, subject, "hour") == 6


def test_without_redis_each_process_allows_its_share(process: Callable[[], Quota], subject: str) -> None:
    total = 0
    for _ in range(4):
        quota = process()
        cut_off(quota)
        total += allowed(quota, subject, CHARGES, 30)
    assert total == 20
    verdict = quota.take(subject, CHARGES)
    assert (verdict.states[0].window.limit, verdict.states[0].remaining) == (5, 0)


def test_what_was_allowed_without_redis_is_counted_when_it_is_back(
    process: Callable[[], Quota], subject: str, redis: Redis
) -> None:
    quota = process()
    assert allowed(quota, subject, CHARGES, 10) == 10
    cut_off(quota)
    assert allowed(quota, subject, CHARGES, 30) == 5
    reconnect(quota)
    assert allowed(quota, subject, CHARGES, 30) == 5
    assert counted(redis, subject) == counted(redis, subject, "hour") == 20


def test_a_server_that_does_not_have_the_script_gets_it(
    process: Callable[[], Quota], subject: str, redis: Redis
) -> None:
    quota = process()
    redis.script_flush()
    assert allowed(quota, subject, CHARGES, 2) == 2
    assert counted(redis, subject) == 2
