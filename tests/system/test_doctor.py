"""Faults of every kind, planted together: the doctor names each by its id, and is silent once they are undone."""

import json
import time

import pytest
from doctor_faults import FAULTS

# A sandbox has no certificate of an authority and nobody to tell, and what other tests broke may still be firing.
OURS = ("certificate", "alerts.confirmed", "alerts.firing")
IGNORE = " ".join(f"--ignore {one}" for one in OURS)


def doctor(appliance) -> dict[str, dict]:
    """Return what the doctor finds wrong, by its id."""
    done = appliance.attempt(f"luckygas doctor --json {IGNORE}")
    found = {check["id"]: check for check in json.loads(done.stdout)["checks"] if check["state"] != "ok"}
    assert done.returncode == max(
        (["warning", "critical"].index(one["state"]) + 1 for one in found.values()), default=0
    )
    return found


def wait_until_silent(appliance, seconds: float = 240) -> str:
    """Ask until nothing is found, since what was undone may take a moment to be in force; return what is said then."""
    deadline = time.monotonic() + seconds
    while (done := appliance.attempt(f"luckygas doctor {IGNORE}")).returncode:
        assert time.monotonic() < deadline, done.stdout
        if "backups.proven" in done.stdout:
            appliance.run("luckygas backup prove", check=False)  # the machine may be at it
    return done.stdout


@pytest.fixture
def healthy(appliance):
    """Return the appliance, after what other tests left behind was cleared away as the doctor says."""
    appliance.run("rm -rf /var/lib/postgresql/before-restore-*")
    wait_until_silent(appliance)
    return appliance


def test_the_doctor_names_each_fault_and_nothing_else_and_is_silent_afterwards(healthy):
    planted = {fault.check for fault in FAULTS}
    leader = json.loads(healthy.run("luckygas db status --json"))["primary_port"]
    plant = "".join(f"(set -e; {fault.plant})\n" for fault in FAULTS)
    undo = "".join(f"({fault.undo})\n" for fault in reversed(FAULTS))
    try:
        healthy.run(f"PRIMARY={leader}\n{plant}")
        found = doctor(healthy)
        if set(found) != planted:  # what is planted stays; who was only too busy to answer is well by now
            found = doctor(healthy)
    finally:
        healthy.run(f"PRIMARY={leader}\n{undo}", check=False)
    assert set(found) == planted
    assert [fault for fault in FAULTS if fault.said not in found[fault.check]["found"]] == []
    assert all(check["why"] and check["type"] for check in found.values())
    said = wait_until_silent(healthy)
    assert len(said.splitlines()) == 1
    assert "checks are well" in said
