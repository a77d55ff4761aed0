"""Jobs as they travel."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from luckygas.web.fields import Instant, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery


class JobStatus(StrEnum):
    """How far a job is. What succeeded is not kept."""

    WAITING = "todo"
    RUNNING = "doing"
    DEAD = "failed"


class JobQuery(PageQuery):
    """Which jobs to list."""

    status: Annotated[JobStatus, Field(description="todo waits, doing runs, failed is dead until it is replayed")] = (
        JobStatus.DEAD
    )


class JobOut(Output):
    """A job."""

    id: RowId
    name: str
    status: JobStatus
    attempts: Annotated[int, Field(ge=0)]
    arguments: Annotated[dict[str, Any], Field(description="Ids, never names or numbers of people")]
    scheduled_at: Instant | None
    last_failure: str | None
    last_failed_at: Instant | None


class JobPage(Output):
    """Some jobs, newest first."""

    items: list[JobOut]
    next_cursor: NextCursor
