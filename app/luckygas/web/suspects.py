"""Holds against clients what no honest one does often, and keeps out those against whom too much is held.

Whoever shows a key or a session answers for it, whoever shows neither for their address. A request with which nothing
is wrong costs a look into this process's own memory.
"""

import re
from collections.abc import Mapping
from typing import Final

from flask import Flask, Response, current_app, g, request

from luckygas.errors import NotFound, Problem
from luckygas.resources import Resources
from luckygas.suspicion.scores import Offence
from luckygas.suspicion.subjects import network_of, subject_at
from luckygas.suspicion.watch import Watch
from luckygas.web.auth import current_actor

OFFENCES: Final[Mapping[str, Offence]] = {
    "suspicious_input": Offence("injection", 10),
    "login_refused": Offence("failed log-in", 1),
    "login_locked": Offence("failed log-in", 1),
    "unauthenticated": Offence("wrong credential", 1),
    # No page and no program that read the document sends these.
    "csrf_token_missing": Offence("impossible request", 3),
    "method_not_allowed": Offence("impossible request", 2),
    # Programs with many threads run into a limit at once: that counts as one.
    "rate_limited": Offence("limit", 1, burst_seconds=10),
    "challenged": Offence("impatience", 1),
}
"""What is held against the caller for an answer with this code."""
LOST: Final = Offence("unknown path", 1)
PROBE: Final = Offence("probe", 10)

_PROBED: Final = re.compile(
    r"\.(?:php\d?|aspx?|jspx?|cgi|env|bak|old|sql|swp|ini|sh)\b|/\.(?!well-known/)\w|/(?:wp-|phpmyadmin|cgi-bin|actuator)",
    re.IGNORECASE,
)
_ASKED_BY_BROWSERS: Final = re.compile(
    r"/(?:|favicon\.ico|robots\.txt|sitemap\.xml|apple-touch-icon[\w-]*\.png|\.well-known/.*)"
)


def register(app: Flask) -> None:
    """Watch every request to `app`; what is registered later sees none of those who are kept out."""
    app.extensions["luckygas.watch"] = Watch(Resources.of(app))
    app.before_request(_keep_out)
    app.after_request(_hold_against)


def watch_of(app: Flask) -> Watch:
    """Return what `register` gave to this app."""
    return app.extensions["luckygas.watch"]


def _keep_out() -> None:
    if (network := network_of(request.remote_addr)) is not None:
        watch_of(current_app).admit(subject_at(network))


def _hold_against(response: Response) -> Response:
    if (problem := g.get("problem")) is None or (offence := _offence(problem)) is None:
        return response
    if "principal" in g:
        watch_of(current_app).note(g.principal.id, offence, actor=current_actor())
    elif (network := network_of(request.remote_addr)) is not None:
        watch_of(current_app).note(subject_at(network), offence, actor=current_actor())
    return response


def _offence(problem: Problem) -> Offence | None:
    if problem.innocent:
        return None
    if not isinstance(problem, NotFound):
        return OFFENCES.get(problem.code)
    # That a customer is not there is no offence, that there is no such route may be.
    if request.routing_exception is None or _ASKED_BY_BROWSERS.fullmatch(request.path):
        return None
    return PROBE if _PROBED.search(request.path) else LOST
