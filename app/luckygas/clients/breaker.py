"""A circuit breaker whose state all processes share in Redis, and each keeps for itself while Redis is away.

pybreaker holds its lock during the whole call, lets every process probe at once when it half-opens, never opens without
Redis, and asks Redis in its constructor; so the storage and `call` are ours, the states and listeners its own.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, override

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker, CircuitBreakerError
from pybreaker import CircuitBreakerStorage as Storage
from redis import Redis, RedisError

from luckygas.redis_client import watched

# Longer than any call may take, so that there is one probe at a time, and shorter than any breaker stays open.
PROBE_SECONDS: Final = 30
REDIS_PAUSE_SECONDS: Final = 5


class Memory:
    """Redis, left alone for a while when it does not answer."""

    def __init__(self, redis: Redis) -> None:
        """Prepare; nothing is asked before the first use."""
        self._redis = redis
        self._again_at = 0.0

    def ask[T](self, command: Callable[[Redis], T], otherwise: Callable[[], T]) -> T:
        """Run a command, or `otherwise` while Redis is away."""
        if time.monotonic() >= self._again_at:
            try:
                return command(watched(self._redis))
            except RedisError:
                self._again_at = time.monotonic() + REDIS_PAUSE_SECONDS
        return otherwise()


class SharedStorage(Storage):
    """The breaker's numbers: a hash in Redis, without an expiry since it must not be evicted, and a copy of it here."""

    def __init__(self, name: str, memory: Memory) -> None:
        """Prepare; nothing is asked before the first use."""
        super().__init__(name)
        self._ask = memory.ask
        self._key = f"lg:breaker:{name}"
        self._copy: dict[str, str] = {}
        self._probe_until = 0.0

    def _read(self, field: str, default: str) -> str:
        found = self._ask(lambda redis: redis.hget(self._key, field), lambda: self._copy.get(field))
        value = found.decode() if isinstance(found, bytes) else found
        if value is not None:
            self._copy[field] = value
        return default if value is None else value

    def _write(self, field: str, value: str) -> None:
        self._copy[field] = value
        self._ask(lambda redis: redis.hset(self._key, field, value), lambda: 0)

    def _increment(self, field: str) -> None:
        ours = int(self._copy.get(field, "0")) + 1
        self._copy[field] = str(self._ask(lambda redis: redis.hincrby(self._key, field, 1), lambda: ours))

    def take_probe(self) -> bool:
        """Take the right to try whether the other side is back, which one caller has at a time."""
        return bool(
            self._ask(
                lambda redis: redis.set(f"{self._key}:probe", "1", nx=True, px=PROBE_SECONDS * 1000),
                self._take_own_probe,
            )
        )

    def _take_own_probe(self) -> bool:
        now = time.monotonic()
        if now < self._probe_until:
            return False
        self._probe_until = now + PROBE_SECONDS
        return True

    def return_probe(self) -> None:
        """Let somebody else try next time."""
        self._probe_until = 0.0
        self._ask(lambda redis: redis.delete(f"{self._key}:probe"), lambda: 0)

    @property
    @override
    def state(self) -> str:
        return self._read("state", STATE_CLOSED)

    @state.setter
    def state(self, state: str) -> None:
        self._write("state", state)

    @property
    @override
    def counter(self) -> int:
        return int(self._read("failures", "0"))

    @property
    @override
    def success_counter(self) -> int:
        return int(self._read("successes", "0"))

    @override
    def increment_counter(self) -> None:
        self._increment("failures")

    @override
    def reset_counter(self) -> None:
        self._write("failures", "0")

    @override
    def increment_success_counter(self) -> None:
        self._increment("successes")

    @override
    def reset_success_counter(self) -> None:
        self._write("successes", "0")

    @property
    @override
    def opened_at(self) -> datetime | None:
        return datetime.fromtimestamp(float(self._read("opened_at", "0")), UTC)

    @opened_at.setter
    def opened_at(self, at: datetime) -> None:
        self._write("opened_at", str(at.timestamp()))


class Breaker(CircuitBreaker):
    """Opens after `fail_max` failures in a row, and lets one caller try again after `reset_timeout` seconds."""

    def __init__(
        self, name: str, memory: Memory, *, fail_max: int, reset_timeout: float, exclude: type[Exception]
    ) -> None:
        """Prepare; nothing is asked before the first call."""
        super().__init__(fail_max, reset_timeout, exclude=[exclude], name=name, throw_new_error_on_trip=False)
        self._storage = SharedStorage(name, memory)
        # Only now, since the constructor asks its storage.
        self._state_storage = self._storage
        self._changes = threading.RLock()

    @override
    def call[T](self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with self._changes:
            state = self._admitted()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._settle(state._handle_error, error)  # noqa: SLF001 - a state has no other way in
            raise
        self._settle(state._handle_success)  # noqa: SLF001
        return result

    def seconds_until_retry(self) -> float | None:
        """Return how long the other side is left alone yet, or None if the next call will be made.

        That is so as well when it has rested and nobody has called since: no call would be refused.
        """
        if self.current_state != STATE_OPEN:
            return None
        wait = self._storage.opened_at.timestamp() + self.reset_timeout - time.time()
        return wait if wait > 0 else None

    def _admitted(self) -> Any:
        """Return the state to act in, or raise `CircuitBreakerError`."""
        if (wait := self.seconds_until_retry()) is not None:
            raise CircuitBreakerError(f"{self.name} failed too often: left alone for another {wait:.0f} s")
        if self.current_state != STATE_CLOSED:
            if not self._storage.take_probe():
                raise CircuitBreakerError(f"{self.name} is being tried by somebody else")
            if self.current_state == STATE_OPEN:
                self.half_open()
        return self.state

    def _settle(self, note: Callable[..., None], *error: BaseException) -> None:
        with self._changes:
            was_probe = self._state.name == STATE_HALF_OPEN
            # What it raises is the caller's own error, which is on its way already.
            with contextlib.suppress(*(type(one) for one in error)):
                note(*error)
            if was_probe:
                self._storage.return_probe()
