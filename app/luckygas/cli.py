"""`luckygas-app`: the service's own tools. They need its environment and credentials, nothing else."""

import json
import logging.config
from pathlib import Path
from typing import Any, Final, override

import click
from sqlalchemy.exc import DBAPIError

from luckygas import create_app, exposition, tools, worker
from luckygas.accounts import cli as accounts
from luckygas.audit import cli as audit
from luckygas.config import MigrationSettings, Settings, WorkerSettings
from luckygas.db import engine as database
from luckygas.db.migrate import MigrationRunning, MigrationTooEarly, schema, upgrade
from luckygas.demo.cli import demo_data
from luckygas.environment import SettingsError
from luckygas.errors import Problem
from luckygas.jobs import service as jobs
from luckygas.jobs.schemas import JobStatus
from luckygas.ops.logging import configuration
from luckygas.suspicion.cli import block
from luckygas.version import __version__
from luckygas.web.addresses import LARGEST_ID

_MOST_LISTED: Final = 200


class Tools(click.Group):
    """Reports what was to be expected in a sentence instead of a traceback."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, Problem, MigrationRunning, MigrationTooEarly) as error:
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
@click.option("--dry-run", is_flag=True, help="Undo everything at the end: does it work, and soon enough?")
def migrate(*, dry_run: bool) -> None:
    """Bring the database to the schema of this release."""
    applied = upgrade(MigrationSettings.from_environ(), keep=not dry_run)
    word = "would apply" if dry_run else "applied"
    click.echo("\n".join(f"{word} {migration}" for migration in applied) or "up to date")


@main.command("schema")
def print_schema() -> None:
    """Print which migrations this release knows, and which of them a release before it has to know."""
    click.echo(json.dumps(schema()))


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


@main.command("metrics")
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def serve_metrics(directory: Path, port: int) -> None:
    """Serve what the other processes counted in DIRECTORY, and how things stand, on 127.0.0.1:PORT."""
    settings = Settings.from_environ()
    logging.config.dictConfig(configuration(settings))
    exposition.serve(settings, directory=directory, port=port)


@main.group()
def job() -> None:
    """Look at jobs that failed for good, and replay them."""


@job.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]), default=JobStatus.DEAD.value)
def list_jobs(status: str) -> None:
    """List jobs, the newest first: those that failed for good, unless asked otherwise."""
    with tools.transaction() as (session, _):
        for row in jobs.find(session, status=status, before_id=LARGEST_ID, count=_MOST_LISTED):
            arguments = json.dumps(row.arguments)
            click.echo(f"{row.id}  {row.name:24}  {row.attempts} attempts  {arguments}  {row.last_failure or ''}")


@job.command("worker")
def show_worker() -> None:
    """Tell whether somebody does the jobs."""
    with tools.transaction() as (session, _):
        click.echo("a worker is alive" if jobs.has_live_worker(session) else "there is no worker")


@job.command("replay")
@click.argument("job_id", metavar="ID", type=int)
def replay_job(job_id: int) -> None:
    """Have a job that failed for good run again."""
    with tools.transaction() as (session, _):
        row = jobs.replay(session, job_id=job_id)
    click.echo(f"job {row.id}, {row.name}, is in the queue again")


main.add_command(accounts.person)
main.add_command(accounts.key)
main.add_command(audit.audit)
main.add_command(block)
main.add_command(demo_data)
