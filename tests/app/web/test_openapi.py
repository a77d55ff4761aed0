import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import positive_data_acceptance

from luckygas.access import PUBLIC, SIGNED_IN
from luckygas.errors import Problem
from luckygas.web import examples
from luckygas.web.blueprint import access_of
from luckygas.web.docs import PAGE_POLICY

Document = dict[str, Any]
SECURITY = {PUBLIC: None, SIGNED_IN: [{"session": []}]}


@pytest.fixture
def document(app: Flask) -> Document:
    return app.test_client().get("/api/v1/openapi.json").json


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_valid_openapi_3_1(document: Document) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["contact"] == {"email": "admin@example.tw"}


def test_every_route_is_described(app: Flask, document: Document) -> None:
    rules = {re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule) for rule in app.url_map.iter_rules()}
    assert set(document["paths"]) == rules - {"/api/v1/openapi.json", "/api/v1/docs", "/static/<release>/<name>"}


def test_what_needs_a_key_says_so(app: Flask, document: Document) -> None:
    for rule in app.url_map.iter_rules():
        access = access_of(app.view_functions[rule.endpoint])
        path = document["paths"].get(re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule), {})
        for method in rule.methods & {name.upper() for name in path}:
            operation = path[method.lower()]
            assert operation.get("security") == SECURITY.get(access, [{"bearer": []}, {"header": []}, {"session": []}])
            assert operation.get("x-permission") == (None if access == PUBLIC else access)


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("GET /api/v1/health", {200, 400, 403, 429, 503}),
        ("POST /api/v1/session", {200, 400, 401, 403, 413, 415, 422, 429, 503, 504}),
        ("POST /api/v1/orders", {201, 400, 401, 403, 409, 413, 415, 422, 429, 503, 504}),
        ("GET /api/v1/orders", {200, 304, 400, 401, 403, 422, 429, 503}),
        ("GET /api/v1/orders/{order_id}", {200, 304, 400, 401, 403, 404, 429, 503}),
        ("GET /api/v1/orders/export", {200, 400, 401, 403, 422, 429, 503}),
        ("POST /api/v1/customers/import", {200, 400, 401, 403, 413, 415, 422, 429, 503, 504}),
    ],
)
def test_an_operation_declares_all_its_answers(document: Document, operation: str, statuses: set[int]) -> None:
    assert {int(status) for status in dict(operations(document))[operation]["responses"]} == statuses


def test_failures_are_problems_and_name_their_kinds(document: Document) -> None:
    kinds = {kind.code: kind for kind in Problem.catalogue()}
    assert set(document["components"]["examples"]) == set(kinds)
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and "application/problem+json" in response["content"]:
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemOut"}
                assert content["examples"], f"{name} {status}"
                assert {kinds[code].status for code in content["examples"]} == {int(status)}


@pytest.mark.parametrize(
    ("operation", "status", "codes"),
    [
        ("POST /api/v1/orders", "409", {"idempotency_key_reused", "request_in_progress"}),
        ("PUT /api/v1/orders/{order_id}", "409", {"wrong_state"}),
        ("PUT /api/v1/orders/{order_id}", "412", {"edited_meanwhile"}),
        ("PUT /api/v1/orders/{order_id}", "428", {"version_missing"}),
        ("PUT /api/v1/orders/{order_id}", "403", {"blocked", "csrf_token_missing", "forbidden"}),
        ("GET /api/v1/orders/{order_id}", "403", {"blocked", "forbidden"}),
        ("POST /api/v1/session", "401", {"login_refused", "totp_code_needed"}),
    ],
)
def test_an_operation_declares_the_kinds_that_it_may_meet(
    document: Document, operation: str, status: str, codes: set[str]
) -> None:
    content = dict(operations(document))[operation]["responses"][status]["content"]
    assert set(content["application/problem+json"]["examples"]) == codes


def test_every_body_and_every_answer_has_an_example_that_is_valid(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            if "examples" not in schema:
                examples.of(schema, document["components"]["schemas"], name=name)  # raises, and says for what
            whole = schema | {"components": document["components"]}
            for example in schema["examples"]:
                Draft202012Validator(whole, format_checker=FormatChecker()).validate(example)
    for name, operation in operations(document):
        for part in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for media_type, content in part.get("content", {}).items():
                schema = content["schema"]
                described = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], content)
                assert "properties" in described or "example" in described, f"{name}: {media_type}"


def test_a_text_that_nobody_has_described_is_found() -> None:
    with pytest.raises(examples.NoExample, match="colour_of_truck"):
        examples.of({"type": "object", "properties": {"colour_of_truck": {"type": "string"}}}, {}, name="TruckOut")


def test_schemas_have_plain_names_and_no_fallbacks(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"\w+", name)
        assert schema.get("properties") or schema.get("enum"), f"{name} describes nothing"


def test_the_bounds_of_a_query_are_declared(document: Document) -> None:
    parameters = {item["name"]: item for item in document["paths"]["/api/v1/orders"]["get"]["parameters"]}
    limit = parameters["limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 200, 50)
    assert parameters["customer_id"]["schema"]["maximum"] == 2**63 - 1
    assert "anyOf" not in parameters["status"]["schema"]


@pytest.mark.parametrize("name", ["CustomerIn", "OrderIn"])
def test_the_examples_work(client: FlaskClient, document: Document, name: str) -> None:
    (example,) = document["components"]["schemas"][name]["examples"]
    if "customer_id" in example:
        customer = document["components"]["schemas"]["CustomerIn"]["examples"][0]
        example["customer_id"] = client.post("/api/v1/customers", json=customer).json["id"]
    path = "/api/v1/orders" if name == "OrderIn" else "/api/v1/customers"
    assert client.post(path, json=example).status_code == 201


def test_the_page_for_people_loads_nothing_from_elsewhere(app: Flask) -> None:
    response = app.test_client().get("/api/v1/docs")
    assert response.mimetype == "text/html"
    html = response.get_data(as_text=True).replace("otpauth://", "")  # an example of what telephones read
    assert not re.search(r"<(script|style|img|iframe)|url\(|@import|//| style=", html)
    (address,) = re.findall(r"<link [^>]*href=\"([^\"]+)\"", html)
    style = app.test_client().get(address)
    assert (style.status_code, style.mimetype) == (200, "text/css")
    assert style.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert not re.search(r"url\(|@import|//", style.get_data(as_text=True))
    for elsewhere in (
        "/static/0.0.1/docs.css",
        f"{address}x",
        f"{address}/../../docs.py",
        f"{address}%2f..%2fdocs.css",
    ):
        assert app.test_client().get(elsewhere).status_code in {400, 404}


def test_the_page_obeys_only_what_comes_from_here_as_a_file(app: Flask) -> None:
    response = app.test_client().get("/api/v1/docs")
    assert response.headers.getlist("Content-Security-Policy") == [PAGE_POLICY]
    assert "unsafe" not in PAGE_POLICY
    assert "script" not in PAGE_POLICY


@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/openapi.json"])
def test_caches_may_keep_the_description_and_nothing_about_who_asked(app: Flask, path: str) -> None:
    first = app.test_client().get(path)
    assert first.headers["Cache-Control"].startswith("public, max-age=60")
    assert not {"Set-Cookie", "RateLimit"} & set(first.headers.keys())
    same = app.test_client().get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.get_data()) == (304, b"")


def test_the_page_shows_every_operation_schema_and_problem(app: Flask, document: Document) -> None:
    html = app.test_client().get("/api/v1/docs").get_data(as_text=True)
    anchors = set(re.findall(r'id="([^"]+)"', html))
    assert {operation["operationId"] for _, operation in operations(document)} <= anchors
    assert set(document["components"]["schemas"]) <= anchors
    assert {kind.code for kind in Problem.catalogue()} <= anchors
    assert set(re.findall(r'href="#([^"]+)"', html)) <= anchors


def test_whatever_is_sent_the_answer_is_as_described(app: Flask, client: FlaskClient) -> None:
    """Send what the document allows and what it does not, to every operation, and hold the answers against it."""
    headers = {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]}
    for found in schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app).get_all_operations():
        operation = found.ok()

        @settings(max_examples=10)
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            # Some rules cannot be said in a schema: a valid one may still be refused, as described.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        check()
