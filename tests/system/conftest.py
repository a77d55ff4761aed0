"""The machine under test, and its database."""

import os
from pathlib import Path

import pytest

# Else what they find wrong is an AssertionError without a word.
pytest.register_assert_rewrite("machine", "database", "load", "redis_pair", "alert_world", "release_clients")

from database import Database  # noqa: E402
from machine import Machine  # noqa: E402


@pytest.fixture(scope="session")
def appliance() -> Machine:
    """Return the machine that `make system` converged."""
    return Machine(os.environ["LUCKYGAS_CONTAINER"], Path(os.environ["LUCKYGAS_SECRETS"]))


@pytest.fixture(scope="session")
def machine(appliance: Machine) -> Database:
    """Return the same one as those see it who break its database, with a table for their writes."""
    machine = Database(appliance.container, appliance.secrets_place)
    machine.wait_until_whole()
    machine.on_primary("CREATE TABLE IF NOT EXISTS chaos (id text PRIMARY KEY, at timestamptz DEFAULT now())")
    machine.on_primary("GRANT INSERT, SELECT ON chaos TO luckygas_app; TRUNCATE chaos")
    return machine


@pytest.fixture
def bare_machine(tmp_path):
    """Yield a machine on which nothing was installed yet."""
    with Machine(f"{os.environ['LUCKYGAS_SANDBOX']}-bare", tmp_path / "secrets").for_now() as machine:
        yield machine
