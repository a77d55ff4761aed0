"""`luckygas-app`: the service's own tools. They need its environment and credentials, nothing else."""

import json
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, override

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from luckygas import create_app, worker
from luckygas.access import Role
from luckygas.accounts import service as accounts
from luckygas.config import MigrationSettings, Settings, WorkerSettings
from luckygas.db import engine as database
from luckygas.db.migrate import MigrationRunning, upgrade
from luckygas.environment import SettingsError
from luckygas.errors import Problem
from luckygas.jobs import service as jobs
from luckygas.jobs.schemas import JobStatus
from luckygas.ops.logging import configuration
from luckygas.version import __version__
from luckygas.web.addresses import LARGEST_ID

_MOST_LISTED: Final = 200


class Tools(click.Group):
    """Reports what was to be expected in a sentence instead of a traceback."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, Problem, MigrationRunning) as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            if not database.is_unavailable(error):
                raise
            raise click.ClickException(f"the database does not answer: {error.orig}") from error


@click.group(cls=Tools)
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Tools of the Lucky Gas service."""


@main.command("check-config")
def check_config() -> None:
    """Tell whether the service could start with this configuration."""
    Settings.from_environ()
    click.echo("configuration ok")


@main.command()
def migrate() -> None:
    """Bring the database to the schema of this release."""
    applied = upgrade(MigrationSettings.from_environ())
    click.echo("\n".join(f"applied {migration}" for migration in applied) or "up to date")


@main.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(json.dumps(create_app().extensions["luckygas.openapi"], ensure_ascii=False, indent=2))


@main.command()
@click.option("--until-empty", is_flag=True, help="Stop when there is nothing left to do.")
def work(*, until_empty: bool) -> None:
    """Do the jobs in the queue, until told to stop."""
    settings = Settings.from_environ()
    logging.config.dictConfig(configuration(settings))
    worker.run(settings, WorkerSettings.from_environ(), wait=not until_empty)


@main.group()
def job() -> None:
    """Look at jobs that failed for good, and replay them."""


@job.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]), default=JobStatus.DEAD.value)
def list_jobs(status: str) -> None:
    """List jobs, the newest first: those that failed for good, unless asked otherwise."""
    with _session() as (session, _):
        for row in jobs.find(session, status=status, before_id=LARGEST_ID, count=_MOST_LISTED):
            arguments = json.dumps(row.arguments)
            click.echo(f"{row.id}  {row.name:24}  {row.attempts} attempts  {arguments}  {row.last_failure or ''}")


@job.command("worker")
def show_worker() -> None:
    """Tell whether somebody does the jobs."""
    with _session() as (session, _):
        click.echo("a worker is alive" if jobs.has_live_worker(session) else "there is no worker")


@job.command("replay")
@click.argument("job_id", metavar="ID", type=int)
def replay_job(job_id: int) -> None:
    """Have a job that failed for good run again."""
    with _session() as (session, _):
        row = jobs.replay(session, job_id=job_id)
        click.echo(f"job {row.id}, {row.name}, is in the queue again")


@main.group()
def key() -> None:
    """Give out, list and take back API keys."""


@key.command("create")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", required=True, help="Whose key it is, such as the program that uses it.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650))
@click.option("--if-none", is_flag=True, help="Do nothing if there is a usable key of this name.")
def create_key(role: str, name: str, days: int, *, if_none: bool) -> None:
    """Print a new API key, the only time that it can be seen."""
    now = datetime.now(UTC)
    with _session() as (session, settings):
        if if_none and accounts.has_usable_key(session, name=name, now=now):
            return
        expires_at = now + timedelta(days=days)
        created = accounts.create_key(
            session, pepper=settings.api_key_pepper, name=name, role=Role(role), expires_at=expires_at
        )
    click.echo(created.reveal())


@key.command("list")
def list_keys() -> None:
    """List all keys that were ever given out, never their secrets."""
    now = datetime.now(UTC)
    with _session() as (session, _):
        for row in accounts.list_keys(session):
            used = f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never"
            state, ends = row.state(now=now), f"{row.expires_at:%Y-%m-%d}"
            click.echo(f"{row.id}  {state:8}  {row.role:10}  expires {ends}  used {used:10}  {row.name}")


@key.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Make the key with this id useless at once."""
    with _session() as (session, _):
        row = accounts.revoke_key(session, key_id=key_id, now=datetime.now(UTC))
        click.echo(f"revoked {row.id}, the {row.role} key of {row.name}")


@contextmanager
def _session() -> Iterator[tuple[Session, Settings]]:
    """Open a transaction of the service's own role; it is committed when the block succeeds."""
    settings = Settings.from_environ()
    engine = database.create(
        url=settings.database_url, password=settings.database_password, application_name="luckygas-app", pool_size=1
    )
    try:
        with Session(engine) as session, session.begin():
            yield session, settings
    finally:
        engine.dispose()
