"""The smaller decisions: who may start, what the pool is told, when commits wait, what an operator reads."""

import contextlib
import itertools
import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.database import cluster as cluster_module
from appliance.database import (
    metrics,
    pool,
    postgres,
    processes,
    quorum,
    registry,
    rejoin,
    status,
    supervisor,
    switchover,
)
from appliance.database.cluster import Cluster
from appliance.database.machine import Node, Start, may_start
from appliance.database.postgres import QueryError
from appliance.database.settings import Settings
from appliance.database.state import FAILOVER, SWITCHOVER, State
from appliance.output import CRITICAL, OK, WARNING, RefusedError

PRIMARY = Node(processes=True, answers=True, primary=True, position=1000, settled=True)
STANDBY = Node(processes=True, answers=True, position=900, settled=True, upstream="pg1", streams=True)
NODES = {"pg1": PRIMARY, "pg2": STANDBY, "pg3": STANDBY}
STATE = State(primary="pg1", quorum=True)
PORTS = {"pg1": 5432, "pg2": 5433, "pg3": 5434}


@pytest.fixture
def settings(tmp_path) -> Settings:
    file = tmp_path / "database.json"
    file.write_text(
        json.dumps(
            {
                "instances": [{"name": f"pg{number}", "port": 5431 + number} for number in (1, 2, 3)],
                "databases": ["luckygas"],
                "pool_port": 6432,
                "pool_file": str(tmp_path / "pools"),
                "metrics_file": str(tmp_path / "metrics"),
            }
        )
    )
    return Settings.load(file)


@pytest.mark.parametrize(
    ("state", "node", "standby", "allowed"),
    [
        (STATE, "pg1", False, True),
        (STATE, "pg2", True, True),
        (STATE, "pg2", False, False),  # it lost its standby.signal, or never was a standby
        (STATE.fencing("pg2", "x"), "pg2", True, False),
        (replace(STATE, phase=SWITCHOVER, candidate="pg2"), "pg1", False, True),
        (replace(STATE, phase=SWITCHOVER, candidate="pg2"), "pg2", False, False),
        (replace(STATE, phase=FAILOVER, candidate="pg2"), "pg1", False, False),
        (
            replace(STATE, phase=FAILOVER, candidate="pg2"),
            "pg2",
            False,
            True,
        ),  # it was promoted, then the machine rebooted
    ],
)
def test_guard(state, node, standby, allowed) -> None:
    refusal = may_start(state, node, standby=standby)
    assert (refusal is None) == allowed
    assert allowed or f"luckygas db rejoin {node}" in refusal


def test_pool_entries(settings) -> None:
    assert pool.render(settings, "pg2", ["pg3", "pg1"]).splitlines()[1:] == [
        "[databases]",
        "luckygas = host=/run/postgresql port=5433 dbname=luckygas",
        "luckygas_ro = host=/run/luckygas-database/pg1,/run/luckygas-database/pg3 port=5432 dbname=luckygas",
    ]


def test_reads_go_to_the_primary_when_nobody_else_can(settings) -> None:
    assert "luckygas_ro = host=/run/luckygas-database/pg2 " in pool.render(settings, "pg2", [])


def test_the_pool_is_told_in_one_way_whether_its_answer_is_waited_for_or_not(monkeypatch, settings) -> None:
    told = []
    monkeypatch.setattr(pool, "begin", lambda command, **_: told.append(command))
    monkeypatch.setattr(postgres, "run", lambda command, **_: told.append(command) or SimpleNamespace(returncode=0))
    pool.hold(settings)
    assert pool.pause(settings, patience=1)
    assert told[0] == told[1]
    assert told[0][-6:] == ["-U", "pgbouncer", "-d", "pgbouncer", "-c", "PAUSE luckygas"]


class Pool:
    """What the pool was told since it was looked at last; it answers or does not."""

    def __init__(self, monkeypatch, settings, run) -> None:
        self.settings, self.asked, self.answers = settings, [], True
        monkeypatch.setattr(pool, "UNTOLD", run / "links/untold")
        monkeypatch.setattr(pool, "admin", self.admin)
        # Its owner is known on the appliance only.
        monkeypatch.setattr(pool, "write_file", lambda file, content, **_: file.write_text(content))

    def admin(self, _: object, command: str, **__: object) -> SimpleNamespace:
        """Stand in for the console."""
        self.asked.append(command)
        return SimpleNamespace(returncode=0 if self.answers else 2, stderr="", stdout="")

    def point(self, primary: str) -> tuple[bool, list[str]]:
        """Return whether entries changed, and what was asked for that."""
        self.asked.clear()
        return pool.point(self.settings, primary, []), list(self.asked)


@pytest.fixture
def console(monkeypatch, settings, tmp_path) -> Pool:
    return Pool(monkeypatch, settings, tmp_path)


def test_the_pool_is_told_once(console) -> None:
    assert console.point("pg1") == (True, ["RELOAD"])
    assert console.point("pg1") == (False, [])


def test_a_pool_that_did_not_hear_is_told_until_it_does(console) -> None:
    console.answers = False
    assert console.point("pg2") == (True, ["RELOAD"])
    assert console.point("pg2") == (False, ["RELOAD"])
    console.answers = True
    assert console.point("pg2") == (False, ["RELOAD"])
    assert console.point("pg2") == (False, [])


@pytest.mark.parametrize("killed_at", ["write_file", "admin"])
def test_the_pool_is_told_by_whoever_comes_after_one_that_was_killed(monkeypatch, console, killed_at) -> None:
    class Killed(BaseException):
        """The program is gone."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pool, killed_at, kill)
        with pytest.raises(Killed):
            console.point("pg2")
    assert console.point("pg2")[1] == ["RELOAD"]
    assert console.point("pg2") == (False, [])


def test_commits_stop_waiting_after_two_seconds_without_a_standby() -> None:
    memory = quorum.Memory(last_streaming=100.0)
    nobody = quorum.View(enforced=True, written=10, streaming=0, confirmed=0)
    assert quorum.decide(nobody, memory, quorum=True, now=101.0) == "keep"
    assert quorum.decide(nobody, memory, quorum=True, now=102.0) == "off"


def test_commits_wait_again_once_a_standby_has_confirmed_all() -> None:
    memory = quorum.Memory(last_streaming=100.0)
    assert (
        quorum.decide(quorum.View(enforced=False, written=10, streaming=1, confirmed=10), memory, quorum=False, now=101)
        == "enforce"
    )
    assert (
        quorum.decide(quorum.View(enforced=True, written=20, streaming=1, confirmed=15), memory, quorum=False, now=102)
        == "keep"
    )
    assert (
        quorum.decide(quorum.View(enforced=True, written=30, streaming=1, confirmed=19), memory, quorum=False, now=103)
        == "keep"
    )
    assert (
        quorum.decide(quorum.View(enforced=True, written=40, streaming=1, confirmed=20), memory, quorum=False, now=104)
        == "on"
    )


@pytest.mark.parametrize(
    ("state", "nodes", "to", "reason"),
    [
        (replace(STATE, phase=FAILOVER), NODES, None, "failover is under way"),
        (replace(STATE, quorum=False), NODES, None, "do not wait for a standby"),
        (STATE, NODES, "pg1", "leads already"),
        (STATE, NODES, "pg9", "there is no instance pg9"),
        (STATE, {**NODES, "pg1": Node()}, None, "does not answer as primary"),
        (STATE, {**NODES, "pg2": Node()}, "pg2", "pg2 does not stream"),
        (STATE, {**NODES, "pg2": Node(), "pg3": Node()}, None, "no standby streams"),
        (STATE, {**NODES, "pg1": replace(PRIMARY, position=64 << 20)}, None, "63 MB behind"),
    ],
)
def test_switchover_is_refused_with_the_reason(state, nodes, to, reason) -> None:
    with pytest.raises(RefusedError, match=reason):
        switchover.pick(state, nodes, to)


@pytest.mark.parametrize(
    ("state", "end"),
    [("shut down", (1 << 32) + 0x20000028), ("shutting down", None), ("shut down in recovery", None), ("", None)],
)
def test_the_end_of_wal_is_known_once_a_primary_has_written_its_last_record(settings, monkeypatch, state, end) -> None:
    told = f"Database cluster state:    {state}\nLatest checkpoint location:  1/20000028\n"
    monkeypatch.setattr(switchover, "run", lambda *_, **__: SimpleNamespace(stdout=told))
    assert switchover.end_of_wal(settings.instances["pg1"]) == end


@pytest.fixture
def server(monkeypatch):
    """Return what starts a process in the place of a server; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(shell: str) -> subprocess.Popen:
            command = ["/bin/sh", "-c", f"{shell} echo; read line"]
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    # What a shell begins in the background ignores it, and so would all that comes of that.
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
                )
            )  # fmt: skip
            process.stdout.read(1)
            monkeypatch.setattr(processes, "postmaster", lambda _: process.pid)
            return process

        yield start


def test_a_stop_ends_with_what_was_waited_for_though_the_server_still_tidies_up(settings, server) -> None:
    process = server("trap '' INT;")
    assert switchover.stop(settings.instances["pg1"], lambda: 5) == 5
    assert process.poll() is None


def test_a_stop_ends_when_the_server_is_gone(settings, server) -> None:
    process = server("")
    assert switchover.stop(settings.instances["pg1"]) is None
    assert process.wait(60) == -signal.SIGINT


def test_a_server_that_does_not_stop_is_said(settings, server) -> None:
    server("trap '' INT;")
    with pytest.raises(RefusedError, match=r"pg1 did not stop within 0[.]1 s; nothing was promoted"):
        switchover.stop(settings.instances["pg1"], patience=0.1)


@pytest.mark.parametrize(
    ("mount", "table", "refused"),
    [
        ("not-found inactive", "/mnt", False),  # the data lies on the disk of the system
        ("loaded active", "{}", False),
        ("loaded inactive", "", True),
        ("masked inactive", "", True),
        ("loaded failed", "{}", True),
        ("not-found inactive", "/mnt\n{}/\n", True),  # systemd has not read the table since
    ],
)
def test_a_copy_waits_for_the_disk_that_belongs_there(monkeypatch, tmp_path, mount, table, refused) -> None:
    states = {f"{tmp_path}": mount}

    def shown(units, *names):
        return [dict(zip(names, states.get(one, "not-found inactive").split(), strict=True)) for one in units]

    def query(*_: object, **__: object) -> None:
        raise QueryError("it begins")

    monkeypatch.setattr(rejoin, "shown", shown)
    monkeypatch.setattr(rejoin, "run", lambda *_, **__: SimpleNamespace(stdout=table.format(tmp_path)))
    monkeypatch.setattr(postgres, "query", query)
    said = f"belongs on the disk of {tmp_path}, which is not mounted" if refused else "it begins"
    with pytest.raises(RefusedError if refused else QueryError, match=said):
        rejoin.copy(SimpleNamespace(name="pg2", data=tmp_path / "pg2"), upstream=None)


def test_switchover_goes_to_the_one_asked_for() -> None:
    assert switchover.pick(STATE, NODES, "pg2") == "pg2"


def test_status_of_a_whole_database() -> None:
    found = status.report(STATE, NODES, PORTS, [])
    assert (found.severity, found.problems) == (OK, [])
    assert (found.data["primary"], found.data["primary_port"], found.data["quorum_commit"]) == ("pg1", 5432, True)
    assert found.data["nodes"][1] == {
        "name": "pg2",
        "port": 5433,
        "role": "standby",
        "streaming": True,
        "fenced": False,
        "lag_bytes": 100,
        "restart_pending": False,
    }
    assert "pg2" in status.human(found)


def test_status_says_what_is_wrong_and_the_way_out() -> None:
    found = status.report(STATE.fencing("pg2", "it died"), {**NODES, "pg2": Node()}, PORTS, ["pg3"])
    assert found.severity == WARNING
    assert "pg2 is fenced: it died. It rejoins by itself; to see to it now: luckygas db rejoin pg2" in found.problems
    assert any("luckygas db rolling-restart" in problem for problem in found.problems)


def test_status_without_a_primary_is_critical() -> None:
    found = status.report(STATE, {**NODES, "pg1": Node(processes=True)}, PORTS, [])
    assert (found.severity, found.data["primary_port"], found.data["appointed"]) == (CRITICAL, None, "pg1")
    assert "pg1 is to lead and hangs" in found.problems[0]


def test_metrics() -> None:
    text = metrics.render(STATE.fencing("pg3", "x"), NODES, ["pg2"])
    for line in (
        'luckygas_database_leads{instance_name="pg1"} 1',
        'luckygas_database_fenced{instance_name="pg3"} 1',
        "luckygas_database_quorum_commit 1",
        'luckygas_database_lag_bytes{instance_name="pg2"} 100',
        'luckygas_database_restart_pending{instance_name="pg2"} 1',
        'luckygas_database_phase{phase="stable"} 1',
    ):
        assert line in text.splitlines()


def test_repmgr_is_told_of_the_standbys_before_the_primary(settings) -> None:
    first, *changes = registry.statements(settings, replace(STATE, primary="pg2"))
    assert first == "SET synchronous_commit = local"
    assert "node_id = 2" in changes[-1]
    assert "'primary'" in changes[-1]


def test_the_program_needs_only_the_standard_library() -> None:
    package = Path(metrics.__file__).parent
    for file in package.glob("*.py"):
        for line in file.read_text().splitlines():
            assert not line.startswith(
                ("import psycopg", "import click", "from psycopg", "from click", "import yaml")
            ), file


def test_a_primary_that_dies_between_two_waits_is_noticed(monkeypatch) -> None:
    class Noticed(BaseException):
        """The failover begins."""

    store = SimpleNamespace(load=lambda: STATE)
    cluster = SimpleNamespace(instances={"pg1": None})
    pids = iter([None, 100, None])  # not started yet; there for a second; gone when it is looked for again

    def take_over(*_: object) -> None:
        raise Noticed

    monkeypatch.setattr(processes, "postmaster", lambda _: next(pids))
    monkeypatch.setattr(supervisor, "died", lambda *_, **__: False)
    monkeypatch.setattr(supervisor, "take_over", take_over)
    with pytest.raises(Noticed):
        supervisor.watch(store, cluster)
    assert next(pids, None) is None


def test_an_instance_that_was_just_released_is_given_its_time(monkeypatch) -> None:
    """What it was before, fenced for half a minute, is not held against it; what it is since, is."""
    clock, fenced = itertools.count(), []
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(supervisor, "start_rejoins", lambda _: None)
    watcher = supervisor.Supervisor(store=None, cluster=None)
    monkeypatch.setattr(watcher, "fence", lambda _, name, why: fenced.append((name, why)))
    for _ in range(30):
        watcher.repair(STATE.fencing("pg2", "x"), NODES | {"pg2": Node()})
    for _ in range(10):
        watcher.repair(STATE, NODES | {"pg2": Node(processes=True)})
    assert not fenced
    for _ in range(20):
        watcher.repair(STATE, NODES | {"pg2": Node(processes=True)})
    assert fenced == [("pg2", "it did not answer for 10 s")] * 2  # once every 15 s


@pytest.mark.parametrize("is_standby", [True, False])
def test_a_standby_that_is_down_is_started_or_copied_where_it_would_not_be_one(monkeypatch, is_standby) -> None:
    clock, done = itertools.count(), []
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: next(clock))
    instances = {"pg2": SimpleNamespace(is_standby=is_standby)}
    watcher = supervisor.Supervisor(store=None, cluster=SimpleNamespace(instances=instances))
    monkeypatch.setattr(watcher, "fence", lambda _, name, __: done.append(f"fence {name}"))
    monkeypatch.setattr(watcher, "act", lambda _, action: done.append(f"start {action.node}"))
    for _ in range(10):
        watcher.repair(STATE, NODES | {"pg2": Node()})
    assert done == ["start pg2" if is_standby else "fence pg2"]


def test_an_instance_that_fails_at_once_is_started_once_a_second(monkeypatch) -> None:
    clock, started = iter([0.0, 0.02, 0.98, 1.02, 1.5]), []
    monkeypatch.setattr(cluster_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(processes, "start", started.append)
    cluster = Cluster(SimpleNamespace(instances={"pg1": "pg1"}))
    for _ in range(5):
        cluster.perform(Start("pg1"))
    assert started == ["pg1", "pg1"]


def test_figures_are_written_while_nobody_can_be_made_to_lead(monkeypatch) -> None:
    class Seen(BaseException):
        """The loop would go on for ever."""

    def fail(*_: object, **__: object) -> None:
        raise RefusedError("no instance is left that could lead")

    def write(_: object, state: State, nodes: object) -> None:
        raise Seen(state.phase, nodes)

    failing = replace(STATE, phase=FAILOVER)
    monkeypatch.setattr(supervisor.engine, "reconcile", fail)
    monkeypatch.setattr(metrics, "write", write)
    watcher = supervisor.Supervisor(
        store=SimpleNamespace(load=lambda: failing), cluster=SimpleNamespace(look=lambda: NODES)
    )
    with pytest.raises(Seen) as seen:
        watcher.run()
    assert seen.value.args == (FAILOVER, NODES)
