"""Bringing the schema to where this release needs it, and telling where it is."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from luckygas.config import MigrationSettings
from luckygas.db import login
from luckygas.db.engine import CONNECT_TIMEOUT_SECONDS

# Any number will do, as long as every release uses the same.
_LOCK: Final = 0x6C75636B79


class MigrationRunning(Exception):  # noqa: N818 - a state, not a defect
    """Another process migrates this database right now."""


class MigrationTooEarly(Exception):  # noqa: N818 - a state, not a defect
    """A migration would take away what an older release may still use."""


def upgrade(settings: MigrationSettings, *, keep: bool = True) -> list[str]:
    """Apply what is missing and return it, one `revision: what it does` each; empty if there was nothing to do.

    All of it is one transaction: a migration that fails leaves the schema as it was. Without `keep` it is rolled back
    when all has been done, which shows on the real data whether it can be done, and soon enough: its locks hold others
    up for as long as it takes.
    """
    with _connected(settings) as connection:
        before = current_revision(connection)
        if before not in (None, *known_revisions()):
            return []  # it belongs to a newer release, which keeps what this one needs
        missing = [*ScriptDirectory.from_config(configuration()).iterate_revisions("head", before or "base")]
        _refuse_too_early(missing, before)
        command.upgrade(configuration(connection, keep=keep), "head")
        return [f"{script.revision}: {script.doc}" for script in reversed(missing)]


def contracts_after(scripts: Iterable[Script]) -> str | None:
    """Return the revision that a release has to know to get on with the schema after these migrations; None for any.

    A migration that takes something away says by `contracts_after = "REVISION"` which schema the first release had that
    did not use it any more.
    """
    named = {after for script in scripts if (after := getattr(script.module, "contracts_after", None))}
    return next((revision for revision in known_revisions() if revision in named), None)


def schema() -> dict[str, object]:
    """Return the revisions that this release knows, oldest first, and the one that all before it have to know."""
    scripts = ScriptDirectory.from_config(configuration())
    return {
        "revisions": [*reversed(known_revisions())],
        "contracts_after": contracts_after(scripts.walk_revisions()),
    }


def configuration(connection: Connection | None = None, *, keep: bool = True) -> Config:
    """Return alembic's configuration; migrations run on `connection`, and are undone at their end without `keep`."""
    config = Config()
    config.set_main_option("script_location", "luckygas:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["keep"] = keep
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


def _refuse_too_early(missing: Iterable[Script], before: str | None) -> None:
    """Refuse what takes away something that the release before may use: its schema is the one that there is."""
    after = contracts_after(missing)
    if before is None or after is None:
        return
    known = known_revisions()
    if known.index(before) > known.index(after):
        raise MigrationTooEarly(
            f"the schema is at {before}, and this release takes away what was in use until {after}: "
            f"install a release of schema {after} first, then this one"
        )


@contextmanager
def _connected(settings: MigrationSettings) -> Iterator[Connection]:
    """Connect as the owner and hold the lock that keeps a second migration out."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: login.Connection.connect(
            settings.database_url,
            password=settings.database_password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="luckygas-migrate",
        ),
    )
    try:
        with engine.connect() as connection:
            # A lock on a busy table queues everybody behind it, so better give up soon and be run again.
            connection.execute(text("SET lock_timeout = '3s'"))
            # And what others would have to wait longer for is not to be done while they work.
            connection.execute(text("SET statement_timeout = '10s'"))
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                raise MigrationRunning(
                    "another migration of this database is running: wait for it, then run this again"
                )
            connection.commit()
            yield connection
    finally:
        engine.dispose()
