"""`luckygas-app migrate` and `luckygas-app schema`."""

import json

import click

from luckygas.config import MigrationSettings
from luckygas.db import migrate as migrations


@click.command()
@click.option("--dry-run", is_flag=True, help="Undo everything at the end: does it work, and soon enough?")
def migrate(*, dry_run: bool) -> None:
    """Bring the database to the schema of this release."""
    try:
        applied = migrations.upgrade(MigrationSettings.from_environ(), keep=not dry_run)
    except (migrations.MigrationRunning, migrations.MigrationTooEarly) as error:
        raise click.ClickException(str(error)) from error
    word = "would apply" if dry_run else "applied"
    click.echo("\n".join(f"{word} {migration}" for migration in applied) or "up to date")


@click.command()
def schema() -> None:
    """Print which migrations this release knows, and which of them a release before it has to know."""
    click.echo(json.dumps(migrations.schema()))
