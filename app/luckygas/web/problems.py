"""The edge where every failure becomes `application/problem+json`."""

import logging
from http import HTTPStatus
from typing import Annotated, Final

from flask import Flask, Response, g, request
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException

from luckygas.db.engine import CommitUnanswered, is_unavailable
from luckygas.errors import (
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    Problem,
    Unavailable,
)
from luckygas.web import idempotency
from luckygas.web.addresses import DOCUMENTATION
from luckygas.web.auth import READING
from luckygas.web.blueprint import current_view

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 2

logger = logging.getLogger(__name__)


class FieldErrorOut(BaseModel):
    """One refused value."""

    field: Annotated[str, Field(description="Dotted path in the body, or the query parameter")]
    message: Annotated[str, Field(description="What is wrong with it, and the way out")]


class ProblemOut(BaseModel):
    """What every failure looks like (RFC 9457)."""

    type: Annotated[str, Field(description="Where this kind of problem is described")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong this time, for people")]
    instance: Annotated[str, Field(description="The path that was asked for")]
    code: Annotated[str, Field(description="The kind of problem, for programs")]
    request_id: Annotated[str, Field(description="Quote it when you ask for help")]
    errors: Annotated[list[FieldErrorOut], Field(description="Each refused value, when there are such")]


def register(app: Flask) -> None:
    """Answer every failure of `app` in this shape, including those that Flask itself raises."""
    app.register_error_handler(Problem, respond)
    app.register_error_handler(HTTPException, _from_http_exception)
    app.register_error_handler(Exception, _from_unexpected)


def respond(problem: Problem) -> Response:
    """Return the answer to `problem`."""
    g.problem = problem
    document = ProblemOut(
        type=f"{DOCUMENTATION}#{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=request.path,
        code=problem.code,
        request_id=g.request_id,
        errors=[FieldErrorOut(field=error.field, message=error.message) for error in problem.errors],
    )
    return Response(document.model_dump_json(), problem.status, problem.headers, mimetype=MEDIA_TYPE)


def _from_http_exception(error: HTTPException) -> Response | HTTPException:
    """Translate what Flask and Werkzeug raise."""
    match error.code:
        case HTTPStatus.NOT_FOUND:
            return respond(NotFound(f"there is nothing at {request.path}: {DOCUMENTATION} lists what there is"))
        case HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(sorted(error.valid_methods or ()))
            detail = f"{request.path} does not take {request.method}: use {allowed}"
            return respond(MethodNotAllowed(detail, headers={"Allow": allowed}))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            limit = request.max_content_length
            return respond(PayloadTooLarge(f"the body may have {limit} bytes: send less"))
        case HTTPStatus.PERMANENT_REDIRECT:
            return error
        case _:
            return respond(MalformedRequest("the request is malformed or was cut off: send it again as a whole"))


def _from_unexpected(error: Exception) -> Response:
    """Answer what nobody foresaw; what it was stands in the log alone."""
    problem: Problem
    if is_unavailable(error):
        logger.warning("the database did not serve this request", extra={"reason": str(error.__cause__ or error)})
        problem = _from_unavailable(error)
    else:
        logger.error("unexpected failure", exc_info=error)
        problem = InternalError("this is a defect on our side: tell us the request_id, we find the cause in our log")
    problem.__cause__ = error
    return respond(problem)


def _from_unavailable(error: Exception) -> Problem:
    """Return when to send the request again; or that it is better to look first, since it may have been done."""
    if isinstance(error, CommitUnanswered) and not _may_be_repeated():
        return OutcomeUnknown(
            "the database went away while it stored this, so it may have been done: look whether it was before you send"
            f" it again; where {idempotency.HEADER} is taken, a request with one can simply be sent again"
        )
    return Unavailable(
        f"the database does not answer at the moment: send the request again in {RETRY_AFTER_SECONDS} seconds",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _may_be_repeated() -> bool:
    """Tell whether sending this request once more does nothing twice."""
    if request.method in READING:
        return True
    view = current_view()
    return view is not None and idempotency.is_idempotent(view) and idempotency.HEADER in request.headers
