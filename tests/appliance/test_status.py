"""One screen: what each part says, judged; and no part that fails hides another one."""

import ast
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.backup.record import Proof, Record
from appliance.backup.watch import View
from appliance.cli import main
from appliance.output import CRITICAL, OK, WARNING
from appliance.status import commands, machine, parts
from appliance.status.check import Check

DATABASE = {
    "primary": "pg1",
    "appointed": "pg1",
    "phase": "stable",
    "epoch": 3,
    "last_change": {},
    "quorum_commit": True,
    "pool": {"restart_pending": False},
    "nodes": [
        {"name": "pg1", "streaming": False, "lag_bytes": None, "restart_pending": False},
        {"name": "pg2", "streaming": True, "lag_bytes": 0, "restart_pending": False},
    ],
}
REDIS = {
    "master": "a",
    "nodes": [
        {"name": "a", "role": "master", "link": None, "restart_pending": False},
        {"name": "b", "role": "replica", "link": "up", "restart_pending": False},
    ],
    "sentinels": [{"name": "1", "answers": True, "restart_pending": False}],
}
NOW = 1_000_000.0


def states(checks) -> dict[str, int]:
    return {check.id: check.severity for check in checks if check.severity}


def view(  # noqa: PLR0913
    *, age=3600.0, proven: float | None = 3600.0, good=True, archived=30.0, missing=(), copied=0.0, failures=()
) -> View:
    proofs = [] if proven is None else [Proof("x", NOW - proven, good, why="rows are missing")]
    record = Record(proofs=proofs, copied_at=copied, failures=dict.fromkeys(failures, "no room"))
    backups = [SimpleNamespace(label="x", ended=NOW - age)]
    return View(backups, SimpleNamespace(newest=NOW - archived), list(missing), 0, record)


def test_every_name_of_a_check_is_known():
    calls = (
        node
        for module in (parts, machine)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Check", "judged", "of_restarts"}
    )
    named = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert named == {name for name in commands.IDS if not name.startswith("disk.")}


def test_a_healthy_appliance_is_ok():
    checks = [
        *parts.of_database(DATABASE),
        *parts.of_redis(REDIS),
        *parts.of_backups(view(copied=NOW - 60), NOW),
        *parts.of_alerts([], None, "judges"),
        *machine.of_units([{"Id": "nginx.service", "ActiveState": "active", "Type": "forking"}]),
        machine.of_disk("/", 0.5, 10**11),
        machine.of_certificate("lucky-gas", 60),
        parts.of_maintenance(None, NOW),
        parts.of_firewall("public", good=True),
        parts.of_ssh("by a key: mei", "", good=True),
    ]
    assert states(checks) == {}
    assert len({check.id for check in checks}) == len(checks)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"primary": None}, {"database.leader": CRITICAL}),
        ({"quorum_commit": False}, {"database.quorum_commit": WARNING}),
        ({"phase": "failover"}, {"database.phase": WARNING}),
        ({"pool": {"restart_pending": True}}, {"database.restart_pending": WARNING}),
        (
            {"nodes": [DATABASE["nodes"][0], DATABASE["nodes"][1] | {"streaming": False, "lag_bytes": None}]},
            {"database.standbys": WARNING},
        ),
        ({"nodes": [DATABASE["nodes"][0], DATABASE["nodes"][1] | {"lag_bytes": 1 << 30}]}, {"database.lag": WARNING}),
    ],
)
def test_each_fault_of_the_database_is_one_check(change, expected):
    assert states(parts.of_database(DATABASE | change)) == expected


def test_the_last_change_of_the_primary_is_told_and_nothing_to_worry_about():
    change = {"from": "pg1", "to": "pg2", "at": 1_700_000_000.0, "why": "its server process ended"}
    found = {check.id: check for check in parts.of_database(DATABASE | {"last_change": change})}
    assert found["database.last_change"].severity == OK
    assert found["database.last_change"].found.startswith("from pg1 to pg2 at 2023-11-1")
    assert found["database.last_change"].found.endswith("its server process ended")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"master": None}, {"redis.master": CRITICAL}),
        ({"nodes": [REDIS["nodes"][0], REDIS["nodes"][1] | {"link": "down"}]}, {"redis.replicas": WARNING}),
        ({"sentinels": [{"name": "1", "answers": False, "restart_pending": False}]}, {"redis.sentinels": WARNING}),
        ({"sentinels": [{"name": "1", "answers": True, "restart_pending": True}]}, {"redis.restart_pending": WARNING}),
    ],
)
def test_each_fault_of_redis_is_one_check(change, expected):
    assert states(parts.of_redis(REDIS | change)) == expected


def test_a_firewall_that_is_not_the_confirmed_one_is_seen():
    assert parts.of_firewall("public", good=False).severity == CRITICAL


@pytest.mark.parametrize(
    ("problem", "severity", "way_out"),
    [("", WARNING, "luckygas ssh confirm"), ("sshd: bad option", CRITICAL, "luckygas ssh revert")],
)
def test_a_trial_is_seen_and_what_does_not_come_back_of_it(problem, severity, way_out):
    found = parts.of_trial("ssh", problem)
    assert (found.severity, found.type) == (severity, way_out)
    assert problem in found.found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"age": 30 * 3600}, {"backups.taken": CRITICAL}),
        ({"proven": 30 * 3600}, {"backups.proven": WARNING}),
        ({"proven": None}, {"backups.proven": WARNING}),
        ({"proven": None, "age": 60}, {}),  # of a new machine, whose proof is about to begin
        ({"proven": None, "age": 60, "failures": ["proof"]}, {"backups.proven": WARNING}),
        ({"good": False}, {"backups.proven": WARNING, "backups.proof": CRITICAL}),
        ({"archived": 400}, {"backups.archive": CRITICAL}),
        ({"missing": ["000000010000000000000007"]}, {"backups.archive": CRITICAL}),
        ({"copied": NOW - 7200}, {"backups.copy": CRITICAL}),
    ],
)
def test_each_fault_of_the_backups_is_one_check(change, expected):
    assert states(parts.of_backups(view(**change), NOW)) == expected


def test_without_any_backup_it_is_critical():
    empty = View([], SimpleNamespace(newest=None), [], 0, Record())
    assert states(parts.of_backups(empty, NOW)) == {
        "backups.taken": CRITICAL,
        "backups.proven": WARNING,
        "backups.archive": CRITICAL,
    }


@pytest.mark.parametrize(
    ("severity", "state", "expected"),
    [
        ("critical", "active", {"alerts.firing": CRITICAL}),
        ("warning", "active", {"alerts.firing": WARNING}),
        ("critical", "suppressed", {}),
    ],
)
def test_what_fires_is_seen_unless_it_was_silenced(severity, state, expected):
    row = {"name": "X", "severity": severity, "state": state, "summary": "X it is."}
    assert states(parts.of_alerts([row], None, "judges")) == expected


def test_maintenance_that_goes_on_is_a_warning():
    check = parts.of_maintenance(NOW - 7200, NOW)
    assert (check.severity, check.found, check.type) == (WARNING, "turned on 2 h ago", "luckygas maintenance off")


def test_that_nobody_would_learn_of_an_alert_is_a_warning_of_its_own():
    found = states(parts.of_alerts([], "nobody is told", None))
    assert found == {"alerts.judged": CRITICAL, "alerts.confirmed": WARNING}


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [("active", 20, True), ("active", 300, False), ("failed", 20, False)],
)
def test_prometheus_is_given_two_minutes_to_say_its_first_word(monkeypatch, state, seconds, expected):
    at = datetime.fromtimestamp(time.time() - seconds, UTC)
    shown = {"ActiveState": state, "ActiveEnterTimestamp": f"{at:%a %Y-%m-%d %H:%M:%S.%f} UTC"}
    monkeypatch.setattr(commands, "properties", lambda _unit: shown)
    assert commands.has_just_begun("prometheus") is expected


@pytest.mark.parametrize(
    ("kind", "active", "bad"),
    [
        ("simple", "active", False),
        ("simple", "inactive", True),
        ("simple", "failed", True),
        ("oneshot", "inactive", False),
        ("oneshot", "failed", True),
        ("", "active", False),  # a timer
        ("", "inactive", True),
    ],
)
def test_a_unit_runs_or_has_ended_well(kind, active, bad):
    (check,) = machine.of_units([{"Id": "x.service", "ActiveState": active, "Type": kind}])
    assert (check.severity == CRITICAL) is bad
    assert ("x.service" in check.type) is bad


@pytest.mark.parametrize(("share", "severity"), [(0.5, OK), (0.2, WARNING), (0.1, CRITICAL)])
def test_a_disk_warns_before_it_is_critical(share, severity):
    assert machine.of_disk("/", share, 10**9).severity == severity


@pytest.mark.parametrize(
    ("kind", "days", "severity"),
    [("lucky-gas", 60, OK), ("lucky-gas", 9, WARNING), ("lucky-gas", 1, CRITICAL), ("placeholder-1", 3000, WARNING)],
)
def test_a_certificate_is_judged_by_its_origin_and_its_end(kind, days, severity):
    assert machine.of_certificate(kind, days).severity == severity


def test_one_is_not_said_as_many_are():
    assert machine.of_certificate("lucky-gas", 1).found == "ends in 1 day"
    assert parts.of_secrets({"smtp_password": 1.2}, [], ()).found == "1, the oldest is 1 day old: smtp_password"
    found = {check.id: check.found for check in parts.of_backups(view(missing=["0"]), NOW)}
    assert found["backups.archive"].startswith("1 WAL segment missing")
    assert parts.of_restarts("x", ["pg1"], "").found == "pg1 waits for a restart"
    assert parts.of_restarts("x", ["pg1", "pg2"], "").found == "pg1, pg2 wait for a restart"


def test_a_part_that_cannot_be_looked_at_is_critical_and_hides_nothing(monkeypatch, capsys):
    def broken():
        yield Check("a.first", OK, "fine")
        raise OSError("gone")

    monkeypatch.setattr(commands, "PARTS", {"a": broken, "b": lambda: iter([Check("b", WARNING, "so so", "why", "x")])})
    assert main(["status", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "critical"
    assert [(check["id"], check["state"]) for check in told["checks"]] == [
        ("a.first", "ok"),
        ("a", "critical"),
        ("b", "warning"),
    ]
    assert set(told["checks"][1]) == {"id", "state", "found", "why", "type"}
    assert "gone" in told["checks"][1]["found"]
    assert main(["status"]) == 2
    shown = capsys.readouterr().out
    assert shown.startswith("Lucky Gas: CRITICAL")
    assert "type: x" in shown
