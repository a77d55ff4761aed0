"""Redis as what it is to this service: something that helps while it is there."""

import logging
import time
from collections.abc import Callable
from typing import Final

from redis import Redis, RedisError

from luckygas.instruments import REDIS_FAILURES

REST_SECONDS: Final = 2

logger = logging.getLogger(__name__)


class Volatile:
    """Asks Redis, and has an answer without it. After a failure it is left alone, so that few wait for a time-out."""

    def __init__(self, redis: Redis) -> None:
        """Prepare; nothing is asked before the first question."""
        self._redis = redis
        self._rests_until = 0.0

    def ask[T](self, question: Callable[[Redis], T], *, otherwise: T) -> T:
        """Return what `question` finds in Redis, or `otherwise` while Redis is away."""
        if time.monotonic() < self._rests_until:
            return otherwise
        try:
            return question(self._redis)
        except RedisError as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            REDIS_FAILURES.inc()
            logger.warning("redis does not answer, the service goes on without it", extra={"reason": str(error)})
            return otherwise
