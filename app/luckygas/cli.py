"""`luckygas-app`: the service's own tools. They need its environment and credentials, nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, override

import click
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from luckygas import create_app
from luckygas.access import Role
from luckygas.accounts import people
from luckygas.accounts import service as accounts
from luckygas.accounts.schemas import PersonIn
from luckygas.config import MigrationSettings, Settings
from luckygas.db import engine as database
from luckygas.db.migrate import MigrationRunning, upgrade
from luckygas.environment import SettingsError
from luckygas.errors import Problem
from luckygas.resources import Resources
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


@main.group()
def person() -> None:
    """Make people who log in, and let them in again; what else there is to do with them the API does."""


@person.command("create")
@click.argument("login")
@click.option("--name", required=True, help="What the person is called.")
@click.option("--role", type=click.Choice(["admin", "dispatcher", "driver"]), required=True)
def create_person(login: str, name: str, role: str) -> None:
    """Make a person and print the password for their first log-in."""
    try:
        body = PersonIn(login=login, name=name, role=Role(role))
    except ValidationError as error:
        first = error.errors()[0]
        raise click.BadParameter(f"{first['loc'][0]}: {first['msg']}") from None
    with _session() as (session, _):
        _, password = people.create(session, person=body)
    click.echo(password)


@person.command("reset")
@click.argument("login")
def reset_person(login: str) -> None:
    """Print a new first password, end all sessions of the person and forget their authenticator app."""
    with _session() as (session, settings):
        volatile = Resources.of(create_app(settings)).volatile
        row = people.by_login(session, login=login)
        _, password = people.reset_password(session, volatile=volatile, person_id=row.id)
    click.echo(password)


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
