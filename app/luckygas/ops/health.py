"""Is this instance alive, and can it work? Answered in bounded time, whatever else hangs."""

import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Literal

from flask import Flask, current_app
from pydantic import Field

from luckygas.access import PUBLIC
from luckygas.ops.checks import check_database, check_partners, check_redis
from luckygas.ops.probe import Probe
from luckygas.resources import Resources, resources
from luckygas.version import RELEASE, __version__
from luckygas.web.addresses import API
from luckygas.web.blueprint import Blueprint
from luckygas.web.fields import Output
from luckygas.web.limits import Price

DEADLINE_SECONDS: Final = 1.5

Status = Literal["ok", "degraded", "down"]

_BODY: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/HealthOut"}}}

blueprint = Blueprint("health", __name__, tag="Health")


class InstanceOut(Output):
    """Which code answers here."""

    status: str
    version: str
    release: Annotated[str, Field(description="Name of the installed release; the version alone outside of one")]
    instance: str


class LiveOut(InstanceOut):
    """That code answers here at all."""

    status: Literal["ok"]


class CheckOut(Output):
    """How one dependency is."""

    status: Literal["ok", "down"]
    reason: Annotated[str | None, Field(description="What is wrong with it")]


class ChecksOut(Output):
    """How each dependency is."""

    database: CheckOut
    reads: Annotated[CheckOut, Field(description="The database as lists and reports reach it, normally a standby")]
    redis: CheckOut
    partners: Annotated[CheckOut, Field(description="Outside companies that failed too often to be asked now")]


class HealthOut(InstanceOut):
    """How this instance is: `degraded` still serves, `down` does not."""

    status: Status
    checks: ChecksOut
    reasons: Annotated[list[str], Field(description="All reasons in one list; empty if all is well")]


def register(app: Flask) -> None:
    """Give `app` its routes and one probe for each dependency."""
    held = Resources.of(app)
    app.extensions["luckygas.probes"] = {
        "database": Probe(partial(check_database, held.engine)),
        "reads": Probe(partial(check_database, held.read_engine)),
        "redis": Probe(partial(check_redis, held)),
        "partners": Probe(partial(check_partners, held)),
    }
    app.register_blueprint(blueprint)


@blueprint.get("/healthz", auth=PUBLIC, price=Price(0))
@blueprint.output(LiveOut)
def live() -> dict:
    """Tell which release answers on this socket, without asking anything else."""
    return {"status": "ok", **_identity()}


@blueprint.get(f"{API}/health", auth=PUBLIC, price=Price(0))
@blueprint.output(HealthOut)
@blueprint.doc(responses={503: {"description": "The database is away", "content": _BODY}})
def health() -> tuple[dict, HTTPStatus]:
    """Tell whether the database and Redis are well; without standbys, Redis or partners the service works on."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    answers = {name: probe.start() for name, probe in current_app.extensions["luckygas.probes"].items()}
    reasons = {name: reason_of(answer, deadline) for name, answer in answers.items()}
    status: Status = "down" if reasons["database"] else "degraded" if any(reasons.values()) else "ok"
    body = {
        "status": status,
        **_identity(),
        "checks": {name: {"status": "down" if reason else "ok", "reason": reason} for name, reason in reasons.items()},
        "reasons": [f"{name}: {reason}" for name, reason in reasons.items() if reason],
    }
    return body, HTTPStatus.SERVICE_UNAVAILABLE if status == "down" else HTTPStatus.OK


def reason_of(answer: Future[str | None], deadline: float) -> str | None:
    """Return what is wrong, or None, by `deadline` on the monotonic clock."""
    try:
        return answer.result(timeout=max(0, deadline - time.monotonic()))
    except TimeoutError:
        return f"no answer within {DEADLINE_SECONDS} seconds"


def _identity() -> dict[str, str]:
    return {"version": __version__, "release": RELEASE, "instance": resources().settings.instance}
