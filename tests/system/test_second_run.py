"""After all that the tests before did to it, the appliance is as the playbook wants it, and checks itself well.

The tests after this one touch files on purpose, which a run of the playbook then puts in force.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from database import Database
from machine import Machine, wait_until
from redis_pair import PORTS, Pair

pytestmark = pytest.mark.alone


def test_a_changed_setting_reaches_both_redis_live_and_moves_nobody(appliance: Machine) -> None:
    pair = Pair(appliance)
    pair.wait_until_whole()
    pair.run("luckygas redis switchover")
    pair.wait_until_whole()
    master, units = pair.master(), ("redis-server@a", "redis-server@b")
    before = [pair.pid(unit) for unit in units]
    play = appliance.playbook("site.yml", "--tags", "redis,redis_sentinel", "-e", '{"redis_memory_mb": 100}')
    assert play.status == 0, play.output
    # Only the limit of the unit waits for a restart.
    sizes = [pair.cli(port, "CONFIG GET maxmemory").split() for port in PORTS.values()]
    assert sizes == [["maxmemory", str(100 << 20)]] * 2
    assert [pair.pid(unit) for unit in units] == before
    back = appliance.playbook("site.yml", "--tags", "redis,redis_sentinel")
    assert back.status == 0, back.output
    assert pair.master() == master


def test_a_second_run_changes_nothing_and_moves_nobody_while_all_self_checks_pass(machine: Database) -> None:
    """Whoever leads by now, the playbook leaves it there, lets in whoever may come by the VPN, and says no secret."""
    machine.run("luckygas db switchover && luckygas redis switchover && luckygas vpn add a-laptop")
    machine.wait_until_whole()
    machine.wait_until_idle()
    wait_until(lambda: machine.health() == "ok", "the service to be well", 60)

    def leaders() -> tuple[str, int, str]:
        database, redis = machine.status(), json.loads(machine.run("luckygas redis status --json", check=False))
        return database["primary"], database["epoch"], redis["master"]

    before = leaders()
    try:
        with ThreadPoolExecutor(1) as beside:
            checking = beside.submit(machine.playbook, "verify.yml")
            play = machine.playbook("site.yml", "-vvv")
            checks = checking.result()
    finally:
        machine.run("luckygas vpn list && luckygas vpn revoke a-laptop")
    assert play.status == 0, play.output
    assert play.changed == 0, play.changes
    assert leaders() == before
    assert [name for name, value in machine.secrets().items() if value in play.output] == []
    assert checks.status == 0, checks.output
    assert checks.changed == 0, checks.changes
