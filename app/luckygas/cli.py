"""`luckygas-app`: the service's own tools. They need its environment and credentials, nothing else."""

import json
from typing import Any, override

import click
from sqlalchemy.exc import DBAPIError

from luckygas import create_app
from luckygas.accounts import cli as accounts
from luckygas.config import MigrationSettings, Settings
from luckygas.db import engine as database
from luckygas.db.migrate import MigrationRunning, upgrade
from luckygas.environment import SettingsError
from luckygas.errors import Problem
from luckygas.version import __version__


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


main.add_command(accounts.person)
main.add_command(accounts.key)
