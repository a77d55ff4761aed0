"""Refuses requests that carry a sign of an attack, wherever the service reads: path, query, headers and body."""

import contextlib
import csv
import io
import itertools
import logging
from collections.abc import Iterator
from typing import Any, Final

from flask import Flask, current_app, request
from pydantic_core import from_json

from luckygas.errors import FieldError, MalformedRequest, Problem
from luckygas.instruments import ATTACKS
from luckygas.web import spreadsheets
from luckygas.web.auth import recognise
from luckygas.web.blueprint import current_view, signer_of
from luckygas.web.injection import sign_in
from luckygas.web.limits import Limits, Price, RateLimited

DEEPEST_BODY: Final = 32
LONGEST_BODY_LOOKED_AT: Final = 256 * 1024
"""Characters of all texts of a body together; no body of ours has as many."""

# What else we read is compared with a form or a digest: keys, cookies, ids of requests.
HEADERS: Final = ("User-Agent", "Idempotency-Key", "X-Request-ID", "Origin", "Content-Type")
_COST: Final = Price(5)

logger = logging.getLogger(__name__)


class SuspiciousInput(Problem):
    """A value looks like an attempt to inject something."""

    status, code, title = 400, "suspicious_input", "A value looks like an attack"


def register(app: Flask) -> None:
    """Look at every request to `app` before anything else reads it."""
    app.before_request(_look)


def _look() -> None:
    for field, text in _inputs():
        if (rule := sign_in(text)) is not None:
            ATTACKS.labels(rule.kind).inc()
            # Never the value itself: it may be somebody's password, and a log is read by programs, too.
            logger.warning(
                "refused a request that looks like an attack",
                extra={"kind": rule.kind, "sign": rule.name, "field": field, "client": request.remote_addr},
            )
            recognise()
            with contextlib.suppress(RateLimited):  # or whoever is beyond their limit could go on attacking
                Limits.of(current_app).charge_caller(_COST)
            raise SuspiciousInput(
                f"{field} looks like {rule.kind} injection ({rule.name}): if it is meant, write it in another way",
                errors=[FieldError(field, f"it looks like {rule.kind} injection: {rule.name}")],
            )


def _inputs() -> Iterator[tuple[str, str]]:
    """Yield each text that this service reads of the request, with the name of where it stands."""
    headers = request.headers
    yield "path", request.path
    if request.query_string:
        for name, value in request.args.items(multi=True):
            yield "query", name
            yield f"query {name}"[:60], value
    for name in HEADERS:
        if (value := headers.get(name)) is not None:
            yield name, value
    if signer_of(current_view()) is not None:
        return  # nobody reads the body unless its company signed it, and what that writes into a remark is its business
    if request.mimetype == "application/json" and (body := request.get_data()):
        try:
            document = from_json(body)
        except ValueError:
            return  # whoever reads it says what is wrong with it
        yield from _texts(document)
    elif request.mimetype == spreadsheets.MEDIA_TYPE:
        yield from _cells(request.get_data().decode(errors="replace"))


def _cells(text: str) -> Iterator[tuple[str, str]]:
    """Yield each cell of a file that is short enough to be taken, with the number of its line."""
    if "\0" in text:
        return  # no such file, and whoever reads it says so
    lines = csv.reader(io.StringIO(text, newline=""))
    with contextlib.suppress(csv.Error):
        for cells in itertools.islice(lines, spreadsheets.MOST_LINES + 1):
            for cell in cells:
                yield f"line {lines.line_num}", spreadsheets.text_of(cell)


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """Yield all texts of a JSON document, its names included, each with its dotted path."""
    left, waiting = LONGEST_BODY_LOOKED_AT, [("", document, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > DEEPEST_BODY:
            raise MalformedRequest(f"the body is nested deeper than {DEEPEST_BODY} levels: make it flatter")
        if isinstance(value, str):
            left -= len(value)
            if left < 0:
                raise MalformedRequest(
                    f"the texts of the body have more than {LONGEST_BODY_LOOKED_AT} characters: send less"
                )
            yield path or "body", value
        elif isinstance(value, list):
            waiting += [
                (f"{path}.{place}" if path else str(place), each, depth + 1) for place, each in enumerate(value)
            ]
        elif isinstance(value, dict):
            for name, each in value.items():
                yield f"a name in {path or 'the body'}", name
                waiting.append((f"{path}.{name}"[:60] if path else name[:60], each, depth + 1))
