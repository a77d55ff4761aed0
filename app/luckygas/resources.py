"""What one process holds open, and the one way to it from inside a request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from flask import Flask, current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from luckygas.access import Principal
from luckygas.clients import Clients
from luckygas.config import Settings
from luckygas.db import engine as database

REDIS_TIMEOUT_SECONDS: Final = 0.5

type Authenticate = Callable[[Session, str], Principal]
"""Turns the text of a key into its holder, or raises `errors.Unauthenticated`."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Nothing in here has connected to anything before its first use."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    redis: Redis
    authenticate: Authenticate
    clients: Clients

    @classmethod
    def of(cls, app: Flask) -> "Resources":
        """Return what `create` gave to this app."""
        return app.extensions["luckygas"]

    @classmethod
    def create(cls, settings: Settings, *, authenticate: Authenticate) -> "Resources":
        """Prepare all clients; every one of them gives up soon and never retries behind the caller's back."""
        engine = database.create(
            url=settings.database_url,
            password=settings.database_password,
            application_name=f"luckygas-web-{settings.instance}",
            pool_size=settings.web_threads,
        )
        redis = Redis.from_url(
            settings.redis_url,
            password=settings.redis_password,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        sessions = sessionmaker(engine, expire_on_commit=False)
        clients = Clients.create(settings.partners, redis)
        return cls(settings, engine, sessions, redis, authenticate, clients)

    def today(self) -> date:
        """Return the company's calendar day, which is not the server's."""
        return datetime.now(self.settings.timezone).date()


def resources() -> Resources:
    """Return the resources of the app that serves this request."""
    return Resources.of(current_app)
