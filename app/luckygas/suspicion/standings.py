"""Who is slowed, told to wait or blocked: one list in Redis for all processes, and a copy of it in each.

A request looks into the copy alone, so whoever did nothing costs no question to Redis. The copy is made anew every
second. While Redis is away the copy stays as it is, each process adds what it decides by itself, and tells Redis later.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from redis import Redis

from luckygas.volatile import Script, Volatile

EVERY_SECONDS: Final = 1

_KEY: Final = "lg:standings"
_PUT: Final = Script(
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])"
    " if ARGV[4] == '0' then return redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) end"
    " redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) return 1"
)

logger = logging.getLogger(__name__)


class Level(StrEnum):
    """What follows, from the mildest on."""

    SLOWED = "slowed"
    CHALLENGED = "challenged"
    BLOCKED = "blocked"

    def exceeds(self, other: "Level") -> bool:
        """Tell whether this is worse than `other`."""
        levels = list(Level)
        return levels.index(self) > levels.index(other)


class Standing(NamedTuple):
    """What follows for one subject, and until when, in seconds since the epoch."""

    subject: str
    level: Level
    until: float

    @property
    def seconds(self) -> int:
        """Return how much longer, at least 1."""
        return max(1, round(self.until - time.time()))


_GRAVEST_FIRST: Final = tuple(reversed(Level))


class Standings:
    """The list as one process knows it."""

    def __init__(self, volatile: Volatile) -> None:
        """Begin with an empty copy."""
        self._volatile = volatile
        self._lock = threading.Lock()
        self._known: Mapping[tuple[str, Level], float] = {}
        self._untold: dict[tuple[str, Level], float] = {}

    def of(self, subject: str) -> Standing | None:
        """Return the gravest of what `subject` is under, if anything. Asks nobody."""
        if self._known:
            for level in _GRAVEST_FIRST:
                until = self._known.get((subject, level))
                if until is not None and until > time.time():
                    return Standing(subject, level, until)
        return None

    def put(self, subject: str, level: Level, seconds: float, *, again: bool = False) -> bool:
        """Put `subject` under `level`, and tell whether that is new; with `again` also if it was there before."""
        until = time.time() + seconds
        new = self._volatile.ask(lambda redis: _put(redis, subject, level, until, again=again), otherwise=None)
        with self._lock:
            if new is None:  # nobody knows what the others did
                new = again or self._known.get((subject, level), 0.0) <= time.time()
                self._untold[subject, level] = until
            if new:
                self._known = {**self._known, (subject, level): until}
        if not new:
            self.refresh()
        return bool(new)

    def lift(self, subject: str) -> bool | None:
        """Take everything off `subject`, and tell whether there was something; None: Redis does not say."""
        members = [_member(subject, level) for level in Level]
        gone = self._volatile.ask(lambda redis: redis.zrem(_KEY, *members), otherwise=None)
        self.refresh()
        return None if gone is None else gone > 0

    def refresh(self) -> bool:
        """Make the copy anew, and tell whether Redis said what is in the list."""
        with self._lock:
            untold, self._untold = self._untold, {}
        now = time.time()
        for (subject, level), until in untold.items():
            if until > now:
                self._volatile.ask(lambda redis, s=subject, le=level, u=until: _put(redis, s, le, u), otherwise=None)
        found = self._volatile.ask(
            lambda redis: redis.zrangebyscore(_KEY, now, "+inf", withscores=True), otherwise=None
        )
        with self._lock:
            if found is None:
                self._untold = untold | self._untold
                return False
            self._known = {_place(member): until for member, until in found} | self._untold
        return True

    def all(self) -> Iterator[Standing]:
        """Yield all of the copy that still holds, those that end last first."""
        now = time.time()
        for (subject, level), until in sorted(self._known.items(), key=lambda item: -item[1]):
            if until > now:
                yield Standing(subject, level, until)

    def keep_refreshing(self) -> None:
        """Make the copy anew every second, in a thread that does not keep the process from ending."""

        def refresh_on() -> None:
            pause = threading.Event()
            while not pause.wait(EVERY_SECONDS):
                try:
                    self.refresh()
                except Exception:  # a copy that stays old for ever would be worse than any defect
                    logger.exception("the list of who is blocked could not be read")

        self.refresh()
        threading.Thread(target=refresh_on, name="standings", daemon=True).start()


def _put(redis: Redis, subject: str, level: Level, until: float, *, again: bool = False) -> int:
    return _PUT.run(redis, [_KEY], [_member(subject, level), until, time.time(), int(again)])


def _member(subject: str, level: Level) -> str:
    return f"{level} {subject}"


def _place(member: bytes | str) -> tuple[str, Level]:
    text = member.decode() if isinstance(member, bytes) else member
    level, _, subject = text.partition(" ")
    return subject, Level(level)
