"""Bringing the schema to where this release needs it, and telling where it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from luckygas.config import MigrationSettings
from luckygas.db.engine import CONNECT_TIMEOUT_SECONDS

# Any number will do, as long as every release uses the same.
_LOCK: Final = 0x6C75636B79


class MigrationRunning(Exception):  # noqa: N818 - a state, not a defect
    """Another process migrates this database right now."""


def upgrade(settings: MigrationSettings) -> list[str]:
    """Apply what is missing and return it, one `revision: what it does` each; empty if there was nothing to do.

    All of it is one transaction: a migration that fails leaves the schema as it was.
    """
    with _connected(settings) as connection:
        before = current_revision(connection)
        command.upgrade(configuration(connection), "head")
        scripts = ScriptDirectory.from_config(configuration(connection))
        applied = [*scripts.iterate_revisions("head", before or "base")]
        return [f"{script.revision}: {script.doc}" for script in reversed(applied)]


def configuration(connection: Connection | None = None) -> Config:
    """Return alembic's configuration; migrations run on `connection`."""
    config = Config()
    config.set_main_option("script_location", "luckygas:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at, None if it has no schema of ours."""
    # Asked for by every health check, so without alembic's own way of finding out, which looks around and logs.
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this release knows, its own first."""
    scripts = ScriptDirectory.from_config(configuration())
    return tuple(script.revision for script in scripts.walk_revisions())


@contextmanager
def _connected(settings: MigrationSettings) -> Iterator[Connection]:
    """Connect as the owner and hold the lock that keeps a second migration out."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(
            settings.database_url,
            password=settings.database_password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="luckygas-migrate",
        ),
    )
    try:
        with engine.connect() as connection:
            # A lock on a busy table queues everybody behind it, so better give up soon and be run again.
            connection.execute(text("SET lock_timeout = '5s'"))
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                raise MigrationRunning(
                    "another migration of this database is running: wait for it, then run this again"
                )
            connection.commit()
            yield connection
    finally:
        engine.dispose()
