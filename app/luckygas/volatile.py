"""Redis as what it is to this service: something that helps while it is there.

A question waits for `PATIENCE_SECONDS` at most. So that nothing else can take longer, such as sentinels that hang, no
question ever opens a connection: a thread does, and until it has one there is an answer without Redis.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from redis import Redis, RedisError
from redis.exceptions import NoScriptError

from luckygas.instruments import REDIS_FAILURES
from luckygas.redis_client import watched

PATIENCE_SECONDS: Final = 0.05
REST_SECONDS: Final = 0.25
"""From an attempt to reach Redis that failed to the next one."""

_FIRST_PATIENCE_SECONDS: Final = 0.5
_SECONDS_BETWEEN_WARNINGS: Final = 2

logger = logging.getLogger(__name__)


class Volatile:
    """Asks Redis, and has an answer without it."""

    def __init__(self, redis: Redis) -> None:
        """Prepare; nothing is opened before the first question. `redis` must not wait longer than questions may."""
        self._redis = redis
        self._idle: SimpleQueue[Redis] = SimpleQueue()
        self._lock = threading.Lock()
        self._opener: threading.Thread | None = None
        self._is_away: bool | None = None  # nobody knows yet
        self._rests_until = 0.0
        self._warned_at = -float(_SECONDS_BETWEEN_WARNINGS)

    def ask[T](self, question: Callable[[Redis], T], *, otherwise: T) -> T:
        """Return what `question` finds in Redis, or `otherwise` while Redis is away."""
        connection = self._connection()
        if connection is None:
            return otherwise
        try:
            answer = question(watched(connection))
        except RedisError as error:
            self._lost(connection, error)
            return otherwise
        self._idle.put(connection)
        return answer

    def open(self) -> threading.Thread | None:
        """Have one more connection opened, and return who is at it, if anybody."""
        with self._lock:
            if self._opener is None and time.monotonic() >= self._rests_until:
                self._opener = threading.Thread(target=self._open, name="redis-opener", daemon=True)
                self._opener.start()
            return self._opener

    def close(self) -> None:
        """Let go of all connections; the next question opens anew."""
        if (opener := self._opener) is not None:
            opener.join()
        self._drop_idle()
        self._redis.close()

    def _connection(self) -> Redis | None:
        try:
            return self._idle.get_nowait()
        except Empty:
            opener = self.open()
        if self._is_away is None and opener is not None:
            opener.join(_FIRST_PATIENCE_SECONDS)
        if self._is_away is not False:
            return None
        try:
            return self._idle.get(timeout=PATIENCE_SECONDS)
        except Empty:
            return None

    def _open(self) -> None:
        connection = None
        try:
            connection = self._redis.client()
            connection.ping()
        except RedisError as error:
            self._lost(connection, error)
        else:
            self._is_away = False
            self._idle.put(connection)
        finally:
            self._opener = None

    def _lost(self, connection: Redis | None, error: RedisError) -> None:
        """Give up one connection, and with it all others, since they most likely lead to the same server."""
        self._is_away = True
        REDIS_FAILURES.inc()
        now = time.monotonic()
        self._rests_until = now + REST_SECONDS
        if connection is not None:
            _discard(connection)
        self._drop_idle()
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            logger.warning("redis does not answer, the service goes on without it", extra={"reason": str(error)})

    def _drop_idle(self) -> None:
        while True:
            try:
                _discard(self._idle.get_nowait())
            except Empty:
                return


class Script:
    """A script that Redis runs, as one question."""

    def __init__(self, text: str) -> None:
        """Keep the script."""
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, redis: Redis, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Return what it returns."""
        try:
            return redis.evalsha(self._sha, len(keys), *keys, *arguments)
        except NoScriptError:  # a server that was restarted, or that only now leads
            return redis.eval(self._text, len(keys), *keys, *arguments)


def _discard(connection: Redis) -> None:
    if connection.connection is not None:
        connection.connection.disconnect()  # or its pool would hand out what leads to a server that hangs
    connection.close()
