"""`luckygas-app job`."""

import json
from typing import Final

import click

from luckygas import tools
from luckygas.jobs import service
from luckygas.jobs.schemas import JobStatus
from luckygas.web.addresses import LARGEST_ID

_MOST_LISTED: Final = 200


@click.group()
def job() -> None:
    """Look at jobs that failed for good, and replay them."""


@job.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]), default=JobStatus.DEAD.value)
def list_jobs(status: str) -> None:
    """List jobs, the newest first: those that failed for good, unless asked otherwise."""
    with tools.transaction() as (session, _):
        for row in service.find(session, status=status, before_id=LARGEST_ID, count=_MOST_LISTED):
            arguments = json.dumps(row.arguments)
            click.echo(f"{row.id}  {row.name:24}  {row.attempts} attempts  {arguments}  {row.last_failure or ''}")


@job.command("worker")
def show_worker() -> None:
    """Tell whether somebody does the jobs."""
    with tools.transaction() as (session, _):
        click.echo("a worker is alive" if service.has_live_worker(session) else "there is no worker")


@job.command("replay")
@click.argument("job_id", metavar="ID", type=int)
def replay_job(job_id: int) -> None:
    """Have a job that failed for good run again."""
    with tools.transaction() as (session, _):
        row = service.replay(session, job_id=job_id)
    click.echo(f"job {row.id}, {row.name}, is in the queue again")
