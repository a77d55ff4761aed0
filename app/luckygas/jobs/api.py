"""The routes of jobs."""

from typing import Any

from sqlalchemy import Row

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.jobs import service
from luckygas.jobs.schemas import JobOut, JobPage, JobQuery
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.pagination import page_of

blueprint = Blueprint("jobs", __name__, url_prefix=f"{API}/jobs", tag="Jobs")


@blueprint.get("", auth=Permission.JOBS_READ, standby=True)
@blueprint.input(JobQuery, location="query", arg_name="query")
@blueprint.output(JobPage)
def find(query: JobQuery) -> dict:
    """List jobs, newest first: the dead ones, unless asked otherwise."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), status=query.status, before_id=before_id, count=count),
    )


@blueprint.post("/<id:job_id>/replay", auth=Permission.JOBS_WRITE, problems=[WrongState])
@blueprint.output(JobOut)
def replay(job_id: int) -> Row[Any]:
    """Have a dead job run again."""
    return service.replay(current_session(), job_id=job_id)
