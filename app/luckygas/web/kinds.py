"""Which problems each operation may answer with, as far as that follows from how its route was made."""

from collections.abc import Mapping
from typing import Any

from werkzeug.routing import Rule

from luckygas.access import PUBLIC
from luckygas.errors import (
    EditedMeanwhile,
    Forbidden,
    Invalid,
    MalformedRequest,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    Problem,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from luckygas.suspicion.watch import Blocked, Challenged
from luckygas.web.auth import READING, CsrfTokenMissing
from luckygas.web.blueprint import View, access_of, may_read_standby, price_of, problems_of, signer_of
from luckygas.web.guard import SuspiciousInput
from luckygas.web.idempotency import IdempotencyKeyReused, RequestInProgress, is_idempotent
from luckygas.web.limits import RateLimited
from luckygas.web.reads import TookTooLong
from luckygas.web.versions import VersionMissing, is_versioned


def kinds_of(operation: Mapping[str, Any], rule: Rule, view: View) -> set[type[Problem]]:
    """Return the problems that the operation may answer with: those of its parts, and those that its route declares."""
    kinds = {SuspiciousInput, Blocked, Challenged, *_kinds_of_parts(operation), *problems_of(view)}
    if access_of(view) != PUBLIC:
        kinds |= {Unauthenticated, Forbidden, Unavailable}
    if rule.methods - READING:
        kinds |= {OutcomeUnknown} if access_of(view) == PUBLIC else {OutcomeUnknown, CsrfTokenMissing}
    if may_read_standby(view):
        kinds |= {TookTooLong}
    if is_versioned(view):
        kinds |= {EditedMeanwhile, VersionMissing}
    if price_of(view).cost:
        kinds |= {RateLimited}
    if signer_of(view) is not None:
        kinds |= {Unauthenticated, NotFound}
    if is_idempotent(view):
        kinds |= {IdempotencyKeyReused, RequestInProgress, MalformedRequest}
    return kinds


def _kinds_of_parts(operation: Mapping[str, Any]) -> set[type[Problem]]:
    kinds: set[type[Problem]] = set()
    places = {parameter["in"] for parameter in operation["parameters"]}
    if "path" in places:
        kinds |= {NotFound}
    if "query" in places:
        kinds |= {Invalid}
    if "requestBody" in operation:
        kinds |= {MalformedRequest, PayloadTooLarge, UnsupportedMediaType, Invalid}
    return kinds
