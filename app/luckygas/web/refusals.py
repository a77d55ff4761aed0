"""Who was kept from what: logged once a minute for each caller and route, however often they try.

It takes a transaction of its own, since that of the request is rolled back.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import current_app, request
from sqlalchemy.exc import SQLAlchemyError

from luckygas.audit import recording
from luckygas.errors import Problem
from luckygas.resources import resources
from luckygas.web.auth import current_actor

FORBIDDEN: Final = 403
ONCE_IN_SECONDS: Final = 60

_MANY: Final = 1000

logger = logging.getLogger(__name__)


@contextmanager
def logged() -> Iterator[None]:
    """Note it in the audit log when the block refuses somebody what they may not do."""
    try:
        yield
    except Problem as problem:
        if problem.status == FORBIDDEN and _is_new(problem):
            _note(problem)
        raise


def _is_new(problem: Problem) -> bool:
    actor, now = current_actor(), time.monotonic()
    seen: dict[tuple[str | None, ...], float] = current_app.extensions.setdefault("luckygas.refusals", {})
    key = (actor.name, actor.origin, request.endpoint, problem.code)
    if now < seen.get(key, 0):
        return False
    if len(seen) >= _MANY:
        seen.clear()
    seen[key] = now + ONCE_IN_SECONDS
    return True


def _note(problem: Problem) -> None:
    details = {"code": problem.code, "detail": problem.detail}
    try:
        with resources().sessions.begin() as session:
            what = f"{request.method} {request.url_rule.rule}"
            recording.note(session, action="access_refused", entity="requests", entity_id=what, details=details)
    except SQLAlchemyError as error:
        logger.warning("a refusal could not be logged", extra={"reason": str(error.__cause__ or error)})
