"""What one process holds open, and the one way to it from inside a request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from flask import Flask, current_app
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from luckygas import redis_client, volatile
from luckygas.access import Principal
from luckygas.audit import recording
from luckygas.audit.actor import Actor, FindActor
from luckygas.cache import Cache
from luckygas.clients import Clients
from luckygas.config import Settings
from luckygas.db import engine as database
from luckygas.volatile import Volatile


class Recognise(Protocol):
    """Turns what was presented into whom it belongs to, or raises `errors.Unauthenticated`."""

    def __call__(self, session: Callable[[], Session], presented: str, /, *, fresh: bool) -> Principal:
        """Return the principal; unless it is `fresh`, as it was known a few seconds ago, mostly without a `session`."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The ways to find out who is asking; `accounts` has them, and nobody else needs to know."""

    by_key: Recognise
    by_token: Recognise


@dataclass(frozen=True, slots=True)
class Resources:
    """Nothing in here has connected to anything before its first use."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    read_engine: Engine
    read_sessions: sessionmaker[Session]
    redis: Redis
    volatile: Volatile
    cache: Cache
    authenticate: Authenticate | None
    clients: Clients

    @classmethod
    def of(cls, app: Flask) -> "Resources":
        """Return what `create` gave to this app."""
        return app.extensions["luckygas"]

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        name: str,
        authenticate: Authenticate | None = None,
        actor: FindActor | None = None,
    ) -> "Resources":
        """Prepare all clients; every one of them gives up soon and never retries behind the caller's back.

        The database sees them as `name`. What serves nobody needs no way to `authenticate`. The audit log takes what
        is done for that of `actor`, by default the process itself.
        """
        password, size = settings.database_password, settings.web_threads
        engine = database.create(url=settings.database_url, password=password, application_name=name, pool_size=size)
        read_engine = database.create(
            url=settings.read_database_url,
            password=password,
            application_name=f"{name}-reads",
            pool_size=size,
            only_reads=True,
        )
        redis = redis_client.create(settings.redis_url, settings.redis_password)
        impatient = redis_client.create(settings.redis_url, settings.redis_password, patience=volatile.PATIENCE_SECONDS)
        sessions = sessionmaker(engine, expire_on_commit=False)
        forgetful = Volatile(impatient)
        cache = Cache(forgetful)
        recording.listen(sessions, actor=actor or (lambda: Actor(f"service:{name}")), changed=cache.forget_after)
        return cls(
            settings=settings,
            engine=engine,
            sessions=sessions,
            read_engine=read_engine,
            read_sessions=sessionmaker(read_engine, expire_on_commit=False),
            redis=redis,
            volatile=forgetful,
            cache=cache,
            authenticate=authenticate,
            clients=Clients.create(settings.partners, redis),
        )

    def dispose(self, *, close: bool = True) -> None:
        """Let go of all connections to the database; without `close` they are left to the process that opened them."""
        for engine in (self.engine, self.read_engine):
            engine.dispose(close=close)

    def today(self) -> date:
        """Return the company's calendar day, which is not the server's."""
        return datetime.now(self.settings.timezone).date()


def resources() -> Resources:
    """Return the resources of the app that serves this request."""
    return Resources.of(current_app)
