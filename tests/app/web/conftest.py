"""Callers as nginx shows them."""

import ipaddress
import itertools
import secrets
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from luckygas.resources import Resources
from luckygas.web.suspects import watch_of

# One after the other, so that no two tests have the same one; from anywhere on, so that no two runs have.
_NUMBERS = itertools.count(secrets.randbelow(1 << 16))


@pytest.fixture
def address() -> str:
    """Return one that nobody had before, of those for benchmarks."""
    return str(ipaddress.ip_address("198.18.0.0") + next(_NUMBERS))


@pytest.fixture
def from_outside(app: Flask, address: str) -> Iterator[FlaskClient]:
    """Return a client without a key, as nginx would show it."""
    client = app.test_client()
    client.environ_base["HTTP_X_FORWARDED_FOR"] = address
    yield client
    redis = Resources.of(app).redis
    redis.delete(*redis.scan_iter(f"lg:quota:address:{address}:*"), f"lg:score:address:{address}", "lg:none")
    watch_of(app).standings.lift(f"address:{address}")
