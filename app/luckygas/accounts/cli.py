"""`luckygas-app person` and `luckygas-app key`."""

from datetime import UTC, datetime, timedelta

import click
from pydantic import ValidationError

from luckygas import tools
from luckygas.access import Permission, Role, Tier
from luckygas.accounts import people, service, usage
from luckygas.accounts.models import LIFETIME_DAYS, ApiKey
from luckygas.accounts.schemas import PersonIn

_DAYS = click.option("--days", default=LIFETIME_DAYS, show_default=True, type=click.IntRange(1, 3650))
_ID = click.argument("key_id", metavar="ID")


@click.group()
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
        field = str(first["loc"][0])
        wanted = PersonIn.model_fields[field].description or first["msg"]
        raise click.BadParameter(f"found {first['input']!r}. {wanted}", param_hint=field) from None
    with tools.transaction() as (session, _):
        _, password = people.create(session, person=body)
    click.echo(password)


@person.command("reset")
@click.argument("login")
def reset_person(login: str) -> None:
    """Print a new first password, end all sessions of the person and forget their authenticator app."""
    with tools.transaction() as (session, resources):
        row = people.by_login(session, login=login)
        _, password = people.reset_password(session, volatile=resources.volatile, person_id=row.id)
    click.echo(password)


@click.group()
def key() -> None:
    """Give out, list, replace and take back API keys."""


@key.command("create")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", required=True, help="Whose key it is, such as the program that uses it.")
@click.option("--tier", type=click.Choice([tier.value for tier in Tier]), default=Tier.BASIC.value, show_default=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="The little that it may do; all of its role if none.",
    type=click.Choice([scope.value for scope in Permission]),
)
@click.option("--owner", help="Log-in name of the person who answers for it.")
@_DAYS
@click.option("--if-none", is_flag=True, help="Do nothing if there is a usable key of this name.")
def create_key(  # noqa: PLR0913 - one for each option
    *, role: str, name: str, tier: str, scopes: tuple[str, ...], owner: str | None, days: int, if_none: bool
) -> None:
    """Print a new API key, the only time that it can be seen."""
    now = datetime.now(UTC)
    with tools.transaction() as (session, resources):
        if if_none and service.has_usable_key(session, name=name, now=now):
            return
        created = service.create_key(
            session,
            pepper=resources.settings.api_key_pepper,
            name=name,
            role=Role(role),
            tier=Tier(tier),
            scopes=[Permission(scope) for scope in scopes] or None,
            owner_id=people.by_login(session, login=owner).id if owner else None,
            expires_at=now + timedelta(days=days),
        )
    click.echo(created.reveal())


@key.command("list")
@click.option("--prefix", default="", help="Only keys that begin with this, lg_live_ or not.")
@click.option("--unused-since", help="Only usable keys that were not used since, as 2026-11-24T14:05:00+08:00.")
def list_keys(prefix: str, unused_since: str | None) -> None:
    """List all keys that were ever given out, never their secrets."""
    now, since = datetime.now(UTC), _moment(unused_since)
    with tools.transaction() as (session, _):
        for row in service.list_keys(session, prefix=prefix.removeprefix("lg_live_"), unused_since=since):
            if since is None or row.state(now=now) == "usable":
                click.echo(_line(row, now))


@key.command("rotate")
@_ID
@_DAYS
def rotate_key(key_id: str, days: int) -> None:
    """Print a successor that may do the same; the old key ends within seven days."""
    now = datetime.now(UTC)
    with tools.transaction() as (session, resources):
        pepper, expires_at = resources.settings.api_key_pepper, now + timedelta(days=days)
        created = service.rotate_key(session, pepper=pepper, key_id=key_id, now=now, expires_at=expires_at)
        ends = service.get_key(session, key_id=key_id).expires_at
    click.echo(created.reveal())
    click.echo(f"{key_id} ends on {ends:%Y-%m-%d}", err=True)


@key.command("usage")
@_ID
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650))
def show_usage(key_id: str, days: int) -> None:
    """Tell how often a key was used, day by day, and from where."""
    now = datetime.now(UTC)
    with tools.transaction() as (session, resources):
        click.echo(_line(service.get_key(session, key_id=key_id), now))
        for use in usage.of_key(session, key_id=key_id, since=resources.today() - timedelta(days=days)):
            refused = f"{use.refused:>10,} refused" if use.refused else ""
            click.echo(f"{use.day}  {use.requests:>10,}{refused}")
        for place in usage.networks_of_key(session, key_id=key_id):
            click.echo(f"from {place.network:20}  since {place.first_at:%Y-%m-%d}  last {place.last_at:%Y-%m-%d}")


@key.command("revoke")
@_ID
def revoke_key(key_id: str) -> None:
    """Make the key with this id useless: at once for everything but lists, for those within five seconds."""
    with tools.transaction() as (session, _):
        row = service.revoke_key(session, key_id=key_id, now=datetime.now(UTC))
    click.echo(f"revoked {row.id}, the {row.role} key of {row.name}")


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        raise click.BadParameter(f"{text} is no moment: write it as 2026-11-24T14:05:00+08:00") from None


def _line(row: ApiKey, now: datetime) -> str:
    used = f"{row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never"
    state, ends = row.state(now=now), f"{row.expires_at:%Y-%m-%d}"
    return f"{row.id}  {state:8}  {row.role:10}  {row.tier:10}  expires {ends}  used {used:10}  {row.name}"
