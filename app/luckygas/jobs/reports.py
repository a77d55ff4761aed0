"""How jobs ended, as a worker writes it down."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override

from procrastinate import App
from procrastinate.exceptions import ConnectorException, TaskNotFound
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg.errors import RaiseException

from luckygas.jobs.backoff import BackOff

logger = logging.getLogger(__name__)


class Reports(JobManager):
    """Says when one could not be written, and puts off what this release does not know."""

    def __init__(self, app: App) -> None:
        """Write over the connections of `app`, which is the one that knows its jobs."""
        super().__init__(app.connector)
        self._app = app
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_one_fails(self) -> None:
        """Raise what kept a report from being written: the job that it was about is not begun by anybody again.

        It is taken for one that this worker is at, for as long as its heart beats.
        """
        await self._failed

    @override
    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        # While a release takes the processes one after the other, those before the worker may know more than it does.
        unknown = status is Status.FAILED and job.task_name not in self._app.tasks
        later = BackOff().get_retry_decision(exception=TaskNotFound(), job=job) if unknown else None
        if later is not None:
            await self.retry_job(job, retry_at=later.retry_at)
            return
        with self._watched(job):
            await super().finish_job(job, status, delete_job)

    @override
    async def retry_job(self, job: Job, *args: Any, **options: Any) -> None:
        with self._watched(job):
            await super().retry_job(job, *args, **options)

    @contextmanager
    def _watched(self, job: Job) -> Iterator[None]:
        try:
            yield
        except ConnectorException as error:
            if isinstance(error.__cause__, RaiseException):
                logger.info("a job was ended by another worker meanwhile", extra={"job": job.id})
                return
            if not self._failed.done():
                self._failed.set_exception(error)
            raise
