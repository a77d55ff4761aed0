"""What a program made of the document alone can do with the service."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from flask import Flask
from sqlalchemy.orm import Session

from factories import customer_body, make_key, order_body

PACKAGE = "lucky_gas_client"


@pytest.fixture(scope="session")
def generated(shared_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the package lies that openapi-python-client makes of the document, without a single warning."""
    place = tmp_path_factory.mktemp("generated")
    document, settings = place / "openapi.json", place / "settings.json"
    document.write_text(json.dumps(shared_app.extensions["luckygas.openapi"]), encoding="utf-8")
    # It knows no CSV: a file is a file to it.
    answers = {"post_hooks": [], "content_type_overrides": {"text/csv": "application/octet-stream"}}
    settings.write_text(json.dumps(answers), encoding="utf-8")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", str(document), "--config", str(settings), "--output-path", str(place / PACKAGE)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture
def part(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a part of the package."""
    monkeypatch.syspath_prepend(str(generated))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_it_places_an_order_reads_it_and_meets_a_problem(
    part: Callable[[str], ModuleType], app: Flask, session: Session
) -> None:
    key = make_key(session).reveal()
    session.commit()
    transport = httpx.WSGITransport(app=app)
    client = part("client").AuthenticatedClient("http://localhost", key, httpx_args={"transport": transport})
    models = part("models")
    body = models.CustomerIn.from_dict(customer_body())
    customer = part("api.customers.post_customers_create").sync(client=client, body=body)
    body = models.OrderIn.from_dict(order_body(customer.id))
    order = part("api.orders.post_orders_place").sync(client=client, body=body, idempotency_key="once")
    assert isinstance(order, models.OrderOut)
    assert (order.total_twd, order.status) == (1700, "placed")
    assert part("api.orders.post_orders_place").sync(client=client, body=body, idempotency_key="once") == order
    page = part("api.orders.get_orders_find").sync(client=client, customer_id=customer.id)
    assert page.items == [order]
    assert page.next_cursor is None
    missing = part("api.orders.get_orders_read").sync_detailed(order_id=order.id + 1, client=client)
    assert missing.status_code == 404
    assert isinstance(missing.parsed, models.ProblemOut)
    assert missing.parsed.code == "not_found"


def test_it_has_a_function_for_every_operation(part: Callable[[str], ModuleType], generated: Path, app: Flask) -> None:
    assert part("client")
    modules = [path for path in (generated / PACKAGE / "api").glob("*/*.py") if path.stem != "__init__"]
    operations = [item for path in app.extensions["luckygas.openapi"]["paths"].values() for item in path.values()]
    assert len(modules) == len(operations)
    for path in modules:
        assert callable(part(f"api.{path.parent.name}.{path.stem}").sync_detailed)
