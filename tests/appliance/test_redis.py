"""Redis: who is held for the master, what a former password is worth, what an operator reads."""

import json
from dataclasses import replace

import pytest

from appliance.output import CRITICAL, OK, WARNING
from appliance.redis import cluster, guard, live, status, users
from appliance.redis.cluster import Node, Witness
from appliance.redis.settings import Settings

MASTER = Node("master", offset=1000)
REPLICA = Node("replica", upstream="a", linked=True, offset=900)
SEES_A = Witness(answers=True, master="a")
SEES_B = Witness(answers=True, master="b")
AWAY = Witness()
OLD, NEW = "#" + "a" * 64, "#" + "b" * 64


@pytest.fixture
def settings(tmp_path) -> Settings:
    file = tmp_path / "redis.json"
    instances = [{"name": "a", "port": 6379}, {"name": "b", "port": 6380}]
    sentinels = [{"name": str(number), "port": 26378 + number} for number in (1, 2, 3)]
    watching = tmp_path / "redis_sentinel.json"
    file.write_text(json.dumps({"instances": instances, "password": "secret"}))
    watching.write_text(json.dumps({"instances": sentinels, "password": "secret, too"}))
    return Settings.load(file, watching)


def judged(  # noqa: PLR0913 - each said by name
    settings, *, a=MASTER, b=REPLICA, witnesses=(SEES_A, SEES_A, SEES_A), pending=(), replaced=()
):
    names = dict(zip("123", witnesses, strict=True))
    return status.report(settings, {"a": a, "b": b}, names, list(pending), list(replaced))


def test_the_password_is_never_shown(settings) -> None:
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("witnesses", "known"),
    [
        ([SEES_A, SEES_A, SEES_B], "a"),
        ([SEES_A, SEES_B, AWAY], None),  # in the middle of a failover
        ([SEES_A, AWAY, AWAY], "a"),  # clients ask that one, and believe it
        ([AWAY, AWAY, AWAY], "a"),
    ],
)
def test_the_master_is_whom_clients_find(witnesses, known) -> None:
    assert cluster.master({"a": MASTER, "b": REPLICA}, witnesses) == known


def test_of_two_masters_without_a_sentinel_none_is_believed() -> None:
    assert cluster.master({"a": MASTER, "b": MASTER}, [AWAY]) is None


@pytest.mark.parametrize(
    ("found", "severity", "word"),
    [
        ({}, OK, None),
        ({"b": Node("down")}, WARNING, "luckygas redis rejoin b"),
        ({"b": replace(REPLICA, linked=False)}, WARNING, "lost its link"),
        ({"b": MASTER}, WARNING, "the sentinels do not name"),
        ({"b": Node("hangs")}, WARNING, "systemctl restart redis-server@b"),
        ({"pending": ["redis-server@a.service"]}, WARNING, "rolling-restart --if-pending"),
        ({"replaced": ["luckygas_app"]}, WARNING, "luckygas redis retire"),
        ({"witnesses": (SEES_A, SEES_A, AWAY)}, WARNING, "sentinel 3 does not answer"),
        ({"witnesses": (SEES_A, AWAY, AWAY)}, WARNING, "nobody would replace a master"),
        ({"witnesses": (AWAY, AWAY, AWAY)}, CRITICAL, "clients find no master"),
        ({"a": Node("down")}, CRITICAL, "clients find no master"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(settings, found, severity, word) -> None:
    report = judged(settings, **found)
    assert report.severity == severity
    assert (word is None and report.problems == []) or any(word in problem for problem in report.problems)
    assert all(f"! {problem}" in status.human(report) for problem in report.problems)


def test_status_in_json_has_what_monitors_read(settings) -> None:
    told = json.loads(json.dumps(judged(settings).data))
    assert told["master"] == "a"
    assert [(node["name"], node["role"], node["link"]) for node in told["nodes"]] == [
        ("a", "master", None),
        ("b", "replica", "up"),
    ]
    assert [one["master"] for one in told["sentinels"]] == ["a", "a", "a"]


def test_a_former_password_is_kept_beside_the_new_one_and_once_only() -> None:
    wanted = f"user default off\nuser app on {NEW} ~* +get\n"
    merged = users.with_former(wanted, f"user app on {OLD} ~* +get\nuser gone on {OLD} +@all\n")
    assert OLD in merged
    assert NEW in merged
    assert "gone" not in merged
    assert users.with_former(wanted, merged) == merged
    assert users.with_former(wanted, "") == wanted


def test_settings_are_read_as_the_servers_tell_them(tmp_path) -> None:
    file = tmp_path / "managed.conf"
    file.write_text(
        '# why\nsave ""\nsave 3600 1\nlogfile ""\nsentinel auth-pass luckygas x\nsentinel sentinel-user sentinel\n'
    )
    assert live.read(file) == {
        "save": "3600 1",
        "logfile": "",
        "sentinel auth-pass": "x",
        "sentinel sentinel-user": "sentinel",
    }


@pytest.mark.parametrize(
    ("witnesses", "before", "after"),
    [
        ((SEES_B, SEES_B, AWAY), "maxmemory 1\n", "maxmemory 1\nreplicaof 127.0.0.1 6380\n"),
        ((SEES_A, SEES_A, SEES_B), "replicaof 127.0.0.1 6380\n", "\n"),
        ((SEES_B, SEES_B, SEES_B), "replicaof 127.0.0.1 6380\n", "replicaof 127.0.0.1 6380\n"),
        ((SEES_B, AWAY, AWAY), "maxmemory 1\n", "maxmemory 1\n"),  # one alone is not believed
    ],
)
def test_an_instance_starts_as_what_the_sentinels_say(  # noqa: PLR0913, PLR0917 - fixtures and a table
    settings, tmp_path, monkeypatch, witnesses, before, after
) -> None:
    monkeypatch.setattr("appliance.redis.settings.DATA", tmp_path)
    monkeypatch.setattr(guard, "log", print)
    (tmp_path / "a").mkdir()
    state = tmp_path / "a/redis.conf"
    state.write_text(before)
    monkeypatch.setattr(guard, "write_file", lambda path, content, **_: path.write_text(content))
    world = cluster.Cluster(settings)
    monkeypatch.setattr(world, "witnesses", lambda: dict(zip("123", witnesses, strict=True)))
    guard.place(world, "a")
    assert state.read_text() == after
