"""Asking Prometheus."""

import http.client
import json
from urllib.parse import urlencode

from appliance.output import RefusedError

TIMEOUT_SECONDS = 30


def ask(port: int, expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and the value of each series of an expression, those that have one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"/api/v1/query?{urlencode({'query': expression})}")
        told = json.loads(connection.getresponse().read())
    except OSError as problem:
        raise RefusedError(f"Prometheus does not answer ({problem}); see: journalctl -u prometheus") from None
    finally:
        connection.close()
    if told["status"] != "success":
        raise RefusedError(f"Prometheus refuses {expression}: {told.get('error')}")
    found = [(one["metric"], float(one["value"][1])) for one in told["data"]["result"]]
    return [(labels, value) for labels, value in found if value == value]  # noqa: PLR0124 - what is not a number
