"""Every answer that a test gets is held against the OpenAPI document, on the way and for free."""

import re
from typing import Any, override

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse


class ConformingClient(FlaskClient):
    """A client that fails the test if an operation answers as its document does not say."""

    @override
    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        document = self.application.extensions["luckygas.openapi"]
        operation = self._operation(document, response)
        if operation is not None:
            _assert_documented(document, operation, response)
        return response

    def _operation(self, document: dict[str, Any], response: TestResponse) -> dict[str, Any] | None:
        request = response.request
        try:
            rule, _ = self.application.url_map.bind("localhost").match(request.path, request.method, return_rule=True)
        except HTTPException:
            return None
        path = re.sub(r"<(?:[^<>:]+:)?([^<>]+)>", r"{\1}", rule.rule)
        return document["paths"].get(path, {}).get(request.method.lower())


def _assert_documented(document: dict[str, Any], operation: dict[str, Any], response: TestResponse) -> None:
    documented = operation["responses"].get(str(response.status_code))
    assert documented is not None, f"{response.status_code} is not documented for {operation['operationId']}"
    if "content" not in documented:
        assert response.data == b"", f"{response.status_code} of {operation['operationId']} is to have no body"
        return
    assert response.mimetype in documented["content"], f"{response.mimetype} is not documented"
    if response.mimetype == "text/csv":
        return
    schema = documented["content"][response.mimetype]["schema"]
    validator = Draft202012Validator(schema | {"components": document["components"]}, format_checker=FormatChecker())
    validator.validate(response.json)
    if response.mimetype == "application/problem+json":
        kinds = documented["content"][response.mimetype]["examples"]
        assert response.json["code"] in kinds, f"{operation['operationId']} does not declare {response.json['code']}"
