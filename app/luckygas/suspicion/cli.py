"""`luckygas-app block`."""

from datetime import datetime, timedelta

import click

from luckygas import tools
from luckygas.audit import service as audit
from luckygas.audit.schemas import AuditQuery
from luckygas.resources import Resources
from luckygas.suspicion import subjects
from luckygas.suspicion.watch import ENTITY, Watch
from luckygas.web.addresses import LARGEST_ID

_WHOM = click.argument("subject", metavar="WHOM", callback=lambda _context, _parameter, text: _subject(text))
_NO_REDIS = "redis does not answer: the list of who is blocked cannot be seen or changed at the moment"


def _subject(text: str) -> str:
    try:
        return subjects.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def block() -> None:
    """See whom the service keeps out and why, let them in again, or keep somebody out.

    WHOM is an address, key:ID, person:ID or partner:NAME. An IPv6 address stands for its network of 64 bits.
    """


@block.command("list")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many decisions.")
def list_blocks(count: int) -> None:
    """List who is slowed, told to wait or blocked now, then the last decisions with what explains them."""
    with tools.transaction() as (session, resources):
        watch = _watch(resources)
        standings = list(watch.standings.all())
        click.echo("now:" if standings else "now: nobody")
        for subject, level, until in standings:
            click.echo(f"  {_time(resources, until)}  {level:10}  {subject}")
        entries = audit.find(session, query=AuditQuery(entity=ENTITY), before_id=LARGEST_ID, count=count)
        click.echo("decided:" if entries else "decided: nothing yet")
        for entry in entries:
            details = {name: after for name, (_, after) in entry.changes.items()}
            seconds = f" for {timedelta(seconds=details['seconds'])}" if "seconds" in details else ""
            what = entry.action.removeprefix("client_")
            at = entry.at.astimezone(resources.settings.timezone)
            line = f"{what:10}  {entry.entity_id}{seconds}: {details['because']}  ({entry.actor})"
            click.echo(f"  {at:%Y-%m-%d %H:%M:%S}  {line}")


@block.command("lift")
@_WHOM
@click.option("--reason", default="lifted by hand", help="For the audit log.")
def lift_block(subject: str, reason: str) -> None:
    """Let somebody in again, within a second, and forget what was held against them."""
    with tools.transaction() as (session, resources):
        lifted = _watch(resources).lift(session, subject, reason=reason)
    if lifted is None:
        raise click.ClickException(_NO_REDIS)
    click.echo(f"{subject} is let in again" if lifted else f"{subject} was not kept out")


@block.command("add")
@_WHOM
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 24 * 365))
@click.option("--reason", default="blocked by hand", help="For the audit log.")
def add_block(subject: str, hours: int, reason: str) -> None:
    """Keep somebody out, within a second."""
    with tools.transaction() as (session, resources):
        _watch(resources).block(session, subject, seconds=hours * 3600, reason=reason)
    click.echo(f"{subject} is blocked for {hours} hours")


def _watch(resources: Resources) -> Watch:
    watch = Watch(resources)
    if not watch.standings.refresh():
        raise click.ClickException(_NO_REDIS)
    return watch


def _time(resources: Resources, until: float) -> str:
    return f"{datetime.fromtimestamp(until, resources.settings.timezone):%Y-%m-%d %H:%M:%S}"
