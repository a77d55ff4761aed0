"""`luckygas-app`: the service's own tools. They need its environment and credentials, nothing else."""

import importlib
from typing import Any, Final, override

import click
from sqlalchemy.exc import DBAPIError

from luckygas.config import Settings
from luckygas.db import engine as database
from luckygas.environment import SettingsError
from luckygas.errors import Problem
from luckygas.version import __version__

# Where each command stands that needs more than its settings; loaded when it is asked for.
COMMANDS: Final = {
    "migrate": "luckygas.db.cli:migrate",
    "schema": "luckygas.db.cli:schema",
    "openapi": "luckygas.app:print_openapi",
    "work": "luckygas.worker:work",
    "metrics": "luckygas.exposition:metrics",
    "job": "luckygas.jobs.cli:job",
    "person": "luckygas.accounts.cli:person",
    "key": "luckygas.accounts.cli:key",
    "audit": "luckygas.audit.cli:audit",
    "block": "luckygas.suspicion.cli:block",
    "demo-data": "luckygas.demo.cli:demo_data",
}


class Tools(click.Group):
    """Loads a command with its domain, and reports what was to be expected in a sentence instead of a traceback."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *COMMANDS])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if place := COMMANDS.get(cmd_name):
            module, _, name = place.partition(":")
            return getattr(importlib.import_module(module), name)
        return super().get_command(ctx, cmd_name)

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SettingsError, Problem) as error:
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
