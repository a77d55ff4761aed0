"""What one process holds open, and the one way to it from inside a request."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from flask import Flask, current_app
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from luckygas import redis_client
from luckygas.access import Principal
from luckygas.config import Settings
from luckygas.db import engine as database

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
        redis = redis_client.create(settings.redis_url, settings.redis_password)
        return cls(settings, engine, sessionmaker(engine, expire_on_commit=False), redis, authenticate)

    def today(self) -> date:
        """Return the company's calendar day, which is not the server's."""
        return datetime.now(self.settings.timezone).date()


def resources() -> Resources:
    """Return the resources of the app that serves this request."""
    return Resources.of(current_app)
