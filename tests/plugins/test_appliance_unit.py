"""When a unit is started, restarted, reloaded, or left alone."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "plugins/modules/appliance_unit.py"
spec = importlib.util.spec_from_file_location("appliance_unit", PATH)
unit = importlib.util.module_from_spec(spec)
sys.modules["appliance_unit"] = unit
spec.loader.exec_module(unit)

# Of which the instance a runs; what it is told to do, it writes down.
SYSTEMCTL = """#!/bin/sh
[ "$1" = show ] || { echo "$@" >>"$LOG"; exit; }
printf '%s\\n' LoadState=loaded UnitFileState=static NeedDaemonReload=no FragmentPath= DropInPaths=
printf '%s\\n' ActiveEnterTimestamp= StateChangeTimestamp=
case $* in *@a.service) echo ActiveState=active ;; *) echo ActiveState=inactive ;; esac
"""


def stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")


@pytest.fixture
def files(tmp_path):
    for name in ("unit.service", "restart.conf", "reload.conf"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def decide(files):
    def decide(*, may_restart=True, **state):
        defaults = {
            "ActiveState": "active",
            "FragmentPath": str(files / "unit.service"),
            "DropInPaths": "",
            "ActiveEnterTimestamp": stamp(time.time() + 1),
            "StateChangeTimestamp": stamp(time.time() + 1),
        }
        params = {
            "restart_on": [str(files / "restart.*")],
            "reload_on": [str(files / "reload.conf")],
            "may_restart": may_restart,
        }
        return unit.decide(params, defaults | state)

    return decide


def test_a_unit_that_is_newer_than_its_files_is_left_alone(decide):
    assert decide() == ("none", "")


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_a_unit_that_does_not_run_is_started(decide, state):
    assert decide(ActiveState=state) == ("start", f"it is {state}")


def test_a_unit_whose_restart_is_a_procedure_is_only_reloaded(decide):
    past = stamp(time.time() - 60)
    assert decide(may_restart=False, ActiveEnterTimestamp=past, StateChangeTimestamp=past)[0] == "reload"
    assert decide(may_restart=False, ActiveState="failed")[0] == "start"


def test_a_changed_file_asks_for_a_restart_or_a_reload(decide, files):
    past = stamp(time.time() - 60)
    assert decide(ActiveEnterTimestamp=past, StateChangeTimestamp=past)[0] == "restart"
    (files / "restart.conf").unlink()
    (files / "unit.service").unlink()
    assert decide(ActiveEnterTimestamp=past, StateChangeTimestamp=past) == ("reload", str(files / "reload.conf"))


def test_a_reload_since_the_change_is_enough(decide, files):
    (files / "restart.conf").unlink()
    (files / "unit.service").unlink()
    assert decide(ActiveEnterTimestamp=stamp(time.time() - 60)) == ("none", "")


def test_a_changed_unit_file_asks_for_a_restart(decide, files):
    (files / "restart.conf").unlink()
    past = stamp(time.time() - 60)
    assert decide(ActiveEnterTimestamp=past) == ("restart", str(files / "unit.service"))


def test_a_turned_link_counts_as_a_change_even_when_its_target_is_old(files):
    target = files / "old"
    target.write_text("old")
    os.utime(target, (0, 0))
    (files / "restart.link").symlink_to(target)
    changed, path = unit.newest([str(files / "restart.link")])
    assert path == str(files / "restart.link")
    assert changed > time.time() - 60


def test_a_unit_is_enabled_only_in_every_way_that_it_asks_for(tmp_path):
    fragment, drop_in = tmp_path / "x.service", tmp_path / "drop-in.conf"
    fragment.write_text("[Install]\nWantedBy=multi-user.target\n")
    drop_in.write_text("[Install]\nWantedBy=luckygas.target\n")
    state = {"UnitFileState": "enabled", "FragmentPath": str(fragment), "DropInPaths": str(drop_in)}
    for target in ("multi-user.target", "luckygas.target"):
        assert not unit.is_enabled("x.service", state, tmp_path)
        (tmp_path / f"{target}.wants").mkdir()
        (tmp_path / f"{target}.wants/x.service").symlink_to(fragment)
    assert unit.is_enabled("x.service", state, tmp_path)
    assert not unit.is_enabled("x.service", state | {"UnitFileState": "disabled"}, tmp_path)
    assert unit.is_enabled("y.service", state | {"UnitFileState": "static"}, tmp_path)
    assert unit.is_enabled("a.slice", {"UnitFileState": "", "FragmentPath": "", "DropInPaths": ""}, tmp_path)


@pytest.mark.parametrize("check", [False, True])
def test_of_several_units_only_the_one_that_does_not_run_is_started(tmp_path, check):
    log, systemctl = tmp_path / "log", tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    arguments = {"name": "x@{}.service", "each": ["a", "b"], "_ansible_check_mode": check}
    done = subprocess.run(  # noqa: S603
        [sys.executable, PATH],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["changed"] is True
    assert answer["units"]["x@a.service"] == {"action": "none", "because": ""}
    assert answer["units"]["x@b.service"] == {"action": "start", "because": "it is inactive"}
    assert (log.read_text() if log.exists() else "") == ("" if check else "start x@b.service\n")


def test_each_unit_is_judged_by_files_of_its_own():
    params = {"name": ["x@{}.service"], "each": ["a", "b"], "restart_on": ["/etc/{}.conf", "/etc/all"], "reload_on": []}
    filled = unit.fill(params)
    assert list(filled) == ["x@a.service", "x@b.service"]
    assert filled["x@b.service"]["restart_on"] == ["/etc/b.conf", "/etc/all"]
    assert list(unit.fill(params | {"name": ["x.timer", "y.timer"], "each": [""]})) == ["x.timer", "y.timer"]


def test_times_keep_their_microseconds():
    assert unit.seconds("Mon 2026-11-23 04:05:06.250000 UTC") == pytest.approx(1795406706.25)
    assert unit.seconds("") == 0.0
