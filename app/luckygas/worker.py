"""The process that does the jobs: `luckygas-app work`. It talks to PostgreSQL directly, to whoever takes writes.

When the server goes, so does this process; the next one takes over what the last one held as soon as its heartbeat is
missing for a few seconds.
"""

import asyncio
import dataclasses
import logging.config
from typing import Final

import click
from procrastinate import App, PsycopgConnector

from luckygas import instruments
from luckygas.audit import jobs as _audit  # noqa: F401 - importing a module registers its jobs
from luckygas.billing import jobs as _billing  # noqa: F401
from luckygas.config import Settings, WorkerSettings
from luckygas.db import login
from luckygas.deliveries import jobs as _deliveries  # noqa: F401
from luckygas.jobs import queue
from luckygas.jobs import upkeep as _upkeep  # noqa: F401
from luckygas.jobs.reports import Reports
from luckygas.ledger import jobs as _ledger  # noqa: F401
from luckygas.ops import tracing
from luckygas.ops.logging import configuration
from luckygas.predictions import jobs as _predictions  # noqa: F401
from luckygas.resources import Resources

HEARTBEAT_SECONDS: Final = 2
LOST_AFTER_SECONDS: Final = 8
CONCURRENCY: Final = 4
GRACE_SECONDS: Final = 25

logger = logging.getLogger(__name__)


@click.command()
@click.option("--until-empty", is_flag=True, help="Stop when there is nothing left to do.")
def work(*, until_empty: bool) -> None:
    """Do the jobs in the queue, until told to stop."""
    settings = Settings.from_environ()
    logging.config.dictConfig(configuration(settings))
    run(settings, WorkerSettings.from_environ(), wait=not until_empty)


def run(settings: Settings, own: WorkerSettings, *, wait: bool = True) -> None:
    """Do jobs until told to stop or until the database goes; without `wait`, until there is none left."""
    instruments.take_seat()
    tracing.start(settings, service="luckygas-worker")
    settings = dataclasses.replace(settings, database_url=own.database_url, web_threads=CONCURRENCY)
    held = Resources.create(settings, name="luckygas-worker")
    connector = PsycopgConnector(
        conninfo=own.database_url,
        connection_class=login.AsyncConnection,
        kwargs={
            "password": settings.database_password,
            "application_name": "luckygas-worker",
            "connect_timeout": 3,
            # A server that vanishes without a word is noticed, too.
            "tcp_user_timeout": 5000,
        },
        min_size=1,
        max_size=4,
        timeout=10,
    )
    try:
        asyncio.run(_work(queue.serving(connector), held, wait=wait))
    finally:
        held.dispose()
        held.redis.close()
        tracing.stop()


async def _work(app: App, held: Resources, *, wait: bool) -> None:
    """Do jobs until told to stop, or until something fails without which some of them would never be done."""
    app.job_manager = reports = Reports(app)
    async with app.open_async(), asyncio.TaskGroup() as group:
        beside = [group.create_task(_rescue(app)), group.create_task(reports.until_one_fails())]
        await app.run_worker_async(
            name="luckygas",
            wait=wait,
            concurrency=CONCURRENCY,
            delete_jobs="successful",
            additional_context={"resources": held},
            shutdown_graceful_timeout=GRACE_SECONDS,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=LOST_AFTER_SECONDS,
        )
        for task in beside:
            task.cancel()


async def _rescue(app: App) -> None:
    """Put back into the queue what workers held whose heart no longer beats."""
    while True:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=LOST_AFTER_SECONDS):
            logger.warning(
                "a job lost its worker and is run again", extra={"job": job.id, "name_of_job": job.task_name}
            )
            await app.job_manager.retry_job(job)
        await asyncio.sleep(HEARTBEAT_SECONDS)
