"""Planned work on the database under load: no statement fails."""

import json
import os
import statistics

import pytest
from database import Database, DatabaseLoad
from machine import wait_until

pytestmark = pytest.mark.alone

SWITCHOVERS = int(os.environ.get("LUCKYGAS_SWITCHOVERS", "10"))


@pytest.mark.parametrize(("clients", "period"), [(4, 0.02), (12, 0)], ids=["light", "heavy"])
def test_switchover(machine: Database, clients: int, period: float) -> None:
    """The primary changes again and again; clients see a short pause."""
    pauses, failed, acknowledged = [], 0, 0
    for _ in range(SWITCHOVERS):
        machine.wait_until_whole()
        machine.wait_until_idle()
        old = machine.primary()
        with DatabaseLoad(machine, clients, period) as load:
            machine.run("luckygas db switchover")
        assert machine.primary() != old
        assert not load.lost()
        pauses.append(load.longest_pause())
        failed += len(load.failed())
        acknowledged += sum(1 for write in load.writes if write.port)
    middle, worst = statistics.median(pauses), max(pauses)
    print(
        f"\n| switchover, {clients} clients | {len(pauses)} rounds | pause median {middle:.2f} s | worst {worst:.2f} s"
        f" | acknowledged {acknowledged} | failed {failed} |"
    )
    assert failed == 0
    # What tells a fault from a slow machine: the load and its clients are on the same processors.
    assert middle <= 1
    assert worst <= 2


def test_upgrade_of_the_packages(machine: Database) -> None:
    """Reinstalling runs the same scripts as an upgrade does."""
    before = machine.run("cat /run/postgresql/17-*.pid")
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run(
            "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --reinstall"
            " postgresql-17 postgresql-common pgbouncer postgresql-17-repmgr 2>&1",
        )
    assert machine.run("cat /run/postgresql/17-*.pid") == before
    assert not load.failed()
    assert not load.lost()
    assert [node["restart_pending"] for node in machine.status()["nodes"]] == [True, True, True]


def test_rolling_restart(machine: Database) -> None:
    """Every instance takes up what was upgraded."""
    machine.wait_until_whole()
    machine.wait_until_idle()
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run("luckygas db rolling-restart")
    print(f"\nrolling restart: longest pause {load.longest_pause():.2f} s, failed {len(load.failed())}")
    assert not load.failed()
    assert not load.lost()
    assert [node["restart_pending"] for node in machine.status()["nodes"]] == [False, False, False]
    checks = json.loads(machine.run("luckygas doctor --json", check=False))["checks"]
    (replaced,) = [check["found"] for check in checks if check["id"] == "units.replaced"]
    assert "repmgrd@" not in replaced


def test_the_pool_takes_up_what_was_upgraded(machine: Database) -> None:
    """In the window; whoever was idle connects again, and nobody waits for long."""
    assert machine.status()["pool"]["restart_pending"]
    machine.wait_until_idle()
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run("systemctl start luckygas-database-restart.service")
    print(f"\npool restarted: longest pause {load.longest_pause():.2f} s, failed {len(load.failed())}")
    assert load.longest_pause() <= 2  # what tells a fault from a slow machine here, too
    assert not load.lost()
    assert not machine.status()["pool"]["restart_pending"]


def test_a_long_transaction_is_respected(machine: Database) -> None:
    """A switchover is refused with the reason while somebody is in the middle of something, and nothing changes."""
    machine.wait_until_whole()
    leader = machine.primary()
    sleeper = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN; SELECT pg_sleep%'"
    older = f"{sleeper} AND clock_timestamp() - xact_start > '2.5 s'"  # refused is one that is older than two seconds
    port = machine.port(leader)
    machine.run(
        f"psql -h /run/postgresql -p {port} -U postgres -c 'BEGIN; SELECT pg_sleep(60)' luckygas >/dev/null 2>&1 &"
    )
    try:
        wait_until(lambda: machine.sql(leader, older), "the transaction to be a long one")
        refused = machine.run("luckygas db switchover; echo exit $?")
    finally:
        machine.sql(leader, f"SELECT pg_terminate_backend(pid) FROM ({sleeper}) AS one")
    assert "a transaction of postgres" in refused
    assert refused.endswith("exit 1")
    assert machine.primary() == leader
