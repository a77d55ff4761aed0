"""Lists are answered by the standbys, and whoever wrote sees what they wrote."""

import time

import pytest
from database import Database
from machine import Machine, wait_until
from test_order import CUSTOMER

PATH = "/api/v1/customers"
ROUNDS = 100
STANDBYS = "postgresql@17-{}.service"
GUARDIANS = "luckygas-database-supervisor.service luckygas-database-reconcile.timer"


def list_customers(appliance: Machine, key: str) -> list[int]:
    answer = appliance.request("GET", PATH, Authorization=f"Bearer {key}")
    assert answer.status == 200, answer.text
    return [item["id"] for item in answer.json["items"]]


def readers(machine: Database, names: list[str]) -> set[str]:
    """Return those of the instances whose last statement of a web instance read customers."""
    last = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^luckygas-web-[ab]-reads$'"
    return {name for name in names if int(machine.sql(name, last)) > 0}


def test_a_list_is_answered_by_a_standby(machine: Database) -> None:
    machine.wait_until_whole()
    key = machine.new_key()

    def standbys_alone_are_read_from() -> bool:
        for _ in range(4):  # of three hundred that a minute may have
            list_customers(machine, key)
        return bool(readers(machine, machine.standbys())) and not readers(machine, [machine.primary()])

    # Until they stream the pool leads to the primary, and lets go of that when nobody is in a transaction.
    wait_until(standbys_alone_are_read_from, "only standbys to be read from", 60)

    def are_well() -> bool:
        checks = machine.request("GET", "/api/v1/health").json["checks"]
        return (checks["database"]["status"], checks["reads"]["status"]) == ("ok", "ok")

    wait_until(are_well, "database and reads to be well")


def test_whoever_wrote_sees_it_at_once_on_either_instance(appliance: Machine) -> None:
    key = appliance.new_key()
    for _ in range(ROUNDS):
        created = appliance.request("POST", PATH, CUSTOMER, Authorization=f"Bearer {key}")
        assert created.json["id"] in list_customers(appliance, key)


@pytest.mark.alone
def test_nothing_fails_while_all_standbys_stop_and_come_back(machine: Database) -> None:
    key = machine.new_key()
    list_customers(machine, key)
    units = " ".join(STANDBYS.format(name) for name in machine.standbys())
    # Stopped against its will a standby would be back within seconds.
    machine.run(f"systemctl stop {GUARDIANS}; systemctl stop --no-block {units}")
    slowest = 0.0
    try:
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            began = time.monotonic()
            list_customers(machine, key)
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)  # the list allows 300 in a minute
    finally:
        machine.run("systemctl start luckygas.target")
    assert slowest < 5, "a second for the pool and two to connect, and then what a list takes on a busy machine"
    print(f"\nslowest list while the standbys were gone: {slowest:.2f} s")

    def is_read_from_a_standby() -> bool:
        list_customers(machine, key)
        return bool(readers(machine, machine.standbys()))

    wait_until(is_read_from_a_standby, "a standby to be read from", 60)
    machine.wait_until_whole()
    wait_until(lambda: machine.health() == "ok", "health to be ok again")
