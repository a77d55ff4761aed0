"""The OpenAPI document: what APIFlask collects from the routes, with what all of them share stated once."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from apiflask import APIFlask
from flask import current_app
from werkzeug.routing import Rule

from luckygas.access import PUBLIC, SIGNED_IN
from luckygas.clients.http import SIGNATURE
from luckygas.config import Settings
from luckygas.errors import Problem
from luckygas.version import __version__
from luckygas.web import cookies, examples, idempotency
from luckygas.web.addresses import API, DOCUMENTATION
from luckygas.web.blueprint import View, access_of, gives_csv, price_of, signer_of, takes_csv
from luckygas.web.etags import has_etag
from luckygas.web.idempotency import is_idempotent
from luckygas.web.kinds import kinds_of
from luckygas.web.problems import MEDIA_TYPE, ProblemOut
from luckygas.web.spreadsheets import MEDIA_TYPE as CSV
from luckygas.web.versions import IF_MATCH, is_versioned

type Document = dict[str, Any]

_DESCRIPTION: Final = """\
Orders of gas cylinders and the customers who place them.

Amounts are whole TWD. Points in time are UTC; days, such as `wanted_on`, are days of the company's time zone,
normally Asia/Taipei. Lists come newest first, in pages: pass `next_cursor` as `cursor` until it is null. Creating
something honours `Idempotency-Key`; changing something takes `If-Match`. Every failure has the form of `ProblemOut`.

How much you may ask for depends on the tier of your key; each answer says so in `RateLimit-Policy` and `RateLimit`. Who
asks for more gets a 429, which costs nothing, and `Retry-After` says when to come back.
"""
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer lg_live_..."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookies.NAME,
        "description": f"What logging in gives; changes need {cookies.CSRF_HEADER}, too",
    },
}
_SIGNATURE: Final = {
    "name": SIGNATURE,
    "in": "header",
    "required": True,
    "description": "By the secret shared with {}: `t=SECONDS,v1=HEX`, HMAC-SHA256 of `SECONDS.` and the body",
    "schema": {"type": "string", "pattern": "^t=[0-9]{1,12},v1=[0-9a-f]{64}$"},
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the answer that you have: if it is still the same, you get 304 and no body",
    "schema": {"type": "string"},
}
_ETAG: Final = {"description": "Stands for this very answer", "schema": {"type": "string"}}
_REF: Final = "#/components/{}/{}"


def new_app(settings: Settings) -> APIFlask:
    """Return an app without routes that leaves the document's common parts to this module."""
    app = APIFlask(
        "luckygas", title="Lucky Gas", version=__version__, spec_path=None, docs_path=None, static_folder=None,
        json_errors=False,
    )  # fmt: skip
    app.config.update(
        CONTACT={"email": settings.contact_email},
        DESCRIPTION=_DESCRIPTION,
        SERVERS=[{"url": "/"}],
        SECURITY_SCHEMES=_SECURITY,
        AUTO_OPERATION_ID=True,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
    )
    app.spec_callback = _complete
    return app


def _complete(document: Document) -> Document:
    """Add to each operation what follows from how its route was made."""
    document = _with_flat_schema_names(document)
    for operation, rule in _operations(document):
        _complete_operation(operation, rule)
    components = document["components"]
    schema = ProblemOut.model_json_schema(ref_template=_REF.format("schemas", "{model}"))
    components["schemas"] |= schema.pop("$defs") | {"ProblemOut": schema}
    components["examples"] = {kind.code: _problem_example(kind) for kind in Problem.catalogue()}
    examples.add(components["schemas"])
    return document


def _operations(document: Document) -> Iterator[tuple[Document, Rule]]:
    for rule in current_app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<>:]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method, operation in document["paths"].get(path, {}).items():
            if method.upper() in rule.methods:
                yield operation, rule


def _complete_operation(operation: Document, rule: Rule) -> None:
    view, parameters = current_app.view_functions[rule.endpoint], operation["parameters"]
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["schema"] = dict(rule._converters[parameter["name"]].schema)  # noqa: SLF001 - it has no other name
        if parameter["in"] == "query":
            _drop_null(parameter["schema"])
    _add_files(operation, view)
    _add_headers(operation, view)
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if (access := access_of(view)) != PUBLIC:
        names = ["session"] if access == SIGNED_IN else _SECURITY
        operation["security"] = [{name: []} for name in names]
        operation["x-permission"] = access
    kinds = kinds_of(operation, rule, view)
    if has_etag(view) and "GET" in rule.methods:
        _add_etag(operation)
    if cost := price_of(view).cost:
        operation["x-cost"] = cost
    if is_idempotent(view):
        parameters.append(idempotency.PARAMETER)
        success = next(status for status in operation["responses"] if status.startswith("2"))
        operation["responses"][success]["headers"] = {idempotency.REPLAYED: idempotency.REPLAYED_HEADER}
    for status in sorted({kind.status for kind in kinds}):
        alike = sorted((kind for kind in kinds if kind.status == status), key=lambda kind: kind.code)
        operation["responses"][str(status)] = _problem_response(alike)


def _add_headers(operation: Document, view: View) -> None:
    if is_versioned(view):
        operation["parameters"].append(IF_MATCH)
    if (signer := signer_of(view)) is not None:
        operation["parameters"].append(_SIGNATURE | {"description": _SIGNATURE["description"].format(signer)})


def _add_files(operation: Document, view: View) -> None:
    if example := takes_csv(view):
        operation["requestBody"] = {"content": {CSV: {"schema": {"type": "string"}, "example": example}}}
    if example := gives_csv(view):
        operation["responses"]["200"] |= {"content": {CSV: {"schema": {"type": "string"}, "example": example}}}


def _add_etag(operation: Document) -> None:
    operation["parameters"].append(_IF_NONE_MATCH)
    operation["responses"]["200"]["headers"] = {"ETag": _ETAG}
    operation["responses"]["304"] = {"description": "It is still what you have", "headers": {"ETag": _ETAG}}


def _drop_null(schema: Document) -> None:
    """Make `a or null, by default null` plain `a`: a query leaves out what it does not have."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1 and schema["default"] is None:
        del schema["anyOf"], schema["default"]
        schema |= options[0]


def _problem_response(kinds: Sequence[type[Problem]]) -> Document:
    return {
        "description": "; or ".join(kind.title for kind in kinds),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": _REF.format("schemas", "ProblemOut")},
                "examples": {kind.code: {"$ref": _REF.format("examples", kind.code)} for kind in kinds},
            }
        },
    }


def _problem_example(kind: type[Problem]) -> Document:
    value = {
        "type": f"{DOCUMENTATION}#{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "what was wrong this time, and the way out",
        "instance": f"{API}/orders",
        "code": kind.code,
        "request_id": "7b0f6c0e9f6f4b0f8f6b2b1f0c9d8e7a",
        "errors": [],
    }
    return {"summary": kind.title, "value": value}


def _with_flat_schema_names(document: Document) -> Document:
    """Name each schema once: APIFlask repeats a nested one below every parent, as `Parent.Child`."""
    text = json.dumps(document)
    nested = [name for name in document["components"]["schemas"] if "." in name]
    for name in nested:
        flat = name.rpartition(".")[2]
        text = text.replace(f'"{_REF.format("schemas", name)}"', f'"{_REF.format("schemas", flat)}"')
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    for name in nested:
        schema = schemas.pop(name)
        if schemas.setdefault(name.rpartition(".")[2], schema) != schema:
            raise ValueError(f"two schemas are called {name.rpartition('.')[2]}: rename one")
    return document
