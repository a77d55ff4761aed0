"""The one client for Redis: finds the master through the sentinels, gives up soon and never retries by itself."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self, cast
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from luckygas import spans

SCHEME: Final = "redis+sentinel"
TIMEOUT_SECONDS: Final = 0.3
# All three may be asked, one after the other.
SENTINEL_TIMEOUT_SECONDS: Final = 0.2


class Place(NamedTuple):
    """What `redis+sentinel://USER@HOST:PORT,HOST:PORT/NAME` says: whom to ask, and for what."""

    user: str
    sentinels: list[tuple[str, int]]
    name: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Read a URL; a part that is missing or no number is a `ValueError`."""
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        pairs = [host.rpartition(":") for host in hosts.split(",")]
        place = cls(user, [(host, int(port)) for host, _, port in pairs], parts.path.strip("/"))
        if not (place.user and place.name and all(host and 0 < port < 1 << 16 for host, port in place.sentinels)):
            raise ValueError
        return place


def create(url: str, password: str, *, patience: float = TIMEOUT_SECONDS) -> Redis:
    """Return a client that has connected to nothing yet; an answer may take `patience` seconds.

    The sentinels take the same user and password.
    """
    retry = Retry(NoBackoff(), 0)  # has to be said in both places, or a master that is away costs half a minute
    timeouts = {"socket_connect_timeout": TIMEOUT_SECONDS, "socket_timeout": patience}
    if urlsplit(url).scheme != SCHEME:
        return Redis.from_url(url, password=password, retry=retry, **timeouts)
    place = Place.of(url)
    asked = dict.fromkeys(timeouts, SENTINEL_TIMEOUT_SECONDS)
    who = {"username": place.user, "password": password, "retry": retry}
    return Sentinel(place.sentinels, sentinel_kwargs=who | asked, **who, **timeouts).master_for(place.name)


def watched(redis: Redis) -> Redis:
    """Return `redis`, or, where a trace is recorded, what makes a span of each command."""
    return redis if spans.current() is None else cast("Redis", _Watched(redis))


class _Watched:
    """Does all that the client does, each command in a span of its name, which knows no key and no value."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def __getattr__(self, name: str) -> Callable[..., Any]:
        command = getattr(self._redis, name)

        def spanned(*args: Any, **kwargs: Any) -> Any:
            attributes = {"db.system.name": "redis", "db.operation.name": name}
            with spans.within(name, kind="client", attributes=attributes):
                return command(*args, **kwargs)

        return spanned
