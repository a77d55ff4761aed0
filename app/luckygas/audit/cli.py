"""`luckygas-app audit`."""

from pathlib import Path

import click

from luckygas import tools
from luckygas.audit import chain


@click.group()
def audit() -> None:
    """See that nobody rewrote the log of who did what; reading it is the API's part."""


@audit.command("verify")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What this command printed earlier, kept where nobody who can write to the database can: proves the end.",
)
def verify(against: Path | None) -> None:
    """Hold every entry against the chain, name the first that does not fit, and print where the chain ends."""
    try:
        known = [chain.Head.parse(line) for line in against.read_text("utf-8").splitlines()] if against else []
    except ValueError:
        raise click.BadParameter(
            "not what this command printed: STRAND POSITION DIGEST", param_hint="against"
        ) from None
    with tools.transaction() as (session, _):
        try:
            heads = chain.verify(session, known=known)
        except chain.BrokenChain as broken:
            raise click.ClickException(f"the audit log is broken: {broken}") from None
    for head in heads:
        click.echo(head)
    click.echo(f"{sum(head.position for head in heads)} entries, the chain is unbroken", err=True)
