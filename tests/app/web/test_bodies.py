import pytest
from flask.testing import FlaskClient

ORDERS = "/api/v1/orders"
DEEP = 10_000


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/json"]
)
def test_a_body_of_another_kind_is_not_read(client: FlaskClient, kind: str) -> None:
    assert client.post(ORDERS, data=b"{}", content_type=kind).status_code == 415


@pytest.mark.parametrize("body", ["[" * DEEP, "[" * DEEP + "]" * DEEP, '{"lines":' * DEEP + "1" + "}" * DEEP])
def test_a_body_that_is_nested_too_deep_is_malformed(client: FlaskClient, body: str) -> None:
    response = client.post(ORDERS, data=body, content_type="application/json")
    assert response.status_code == 400
    assert response.json["code"] == "malformed_request"
