"""Every alert says how bad it is, in one sentence, where to read on, and is tested both ways."""

import argparse
import re
from pathlib import Path

import pytest
import yaml

from appliance.alerts.commands import explain
from appliance.output import RefusedError

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "roles/prometheus/files/alerts.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASES = yaml.safe_load((ROOT / "tests/alerts/cases.yml").read_text())
CAUSES = yaml.safe_load((ROOT / "tests/alerts/causes.yml").read_text())
HEADINGS = re.findall(r"^## (.+)\n(?=\S)", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)


def test_no_name_is_given_twice():
    assert len(ALERTS) == sum(len(group["rules"]) for group in GROUPS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_and_one_sentence(name):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ({"critical", "warning"} if name != "Watchdog" else {"none"})
    summary = rule["annotations"]["summary"]
    assert summary.endswith(".")
    assert len(re.findall(r"[.] [A-Z]", summary)) == 0


def test_every_alert_has_its_heading_in_the_runbook():
    assert [name for name in ALERTS if name not in HEADINGS] == []


def test_every_alert_but_the_one_that_always_fires_is_tested_both_ways():
    assert sorted(CASES) == sorted(set(ALERTS) - {"Watchdog"})
    assert all(case["fires"] and case["silent"] and case["fires"] != case["silent"] for case in CASES.values())


def test_every_alert_is_caused_on_an_appliance_and_nothing_else_is():
    assert sorted(CAUSES) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_cause_says_how_it_is_made_and_put_right(name):
    cause = CAUSES[name]
    assert set(cause) <= {"round", "aged", "feigned", "silent", "plant", "undo"}
    assert cause["round"] in (1, 2, 3, 4)
    assert cause["plant"]
    assert cause["undo"]
    assert set(cause.get("silent", [])) <= set(ALERTS)


def test_what_another_cause_brings_about_is_in_its_round():
    """An alert that has nothing of its own planted is caused by another one of the same round."""
    without = [cause["round"] for name, cause in CAUSES.items() if cause["plant"] == ":" and name != "Watchdog"]
    planted = [cause["round"] for cause in CAUSES.values() if cause["plant"] != ":"]
    assert set(without) <= set(planted)


@pytest.mark.parametrize("name", ALERTS)
def test_the_command_explains_every_alert(name, capsys):
    arguments = argparse.Namespace(code=name, json=False)
    assert explain(arguments, ROOT / "docs/operations.md") == 0
    assert len(capsys.readouterr().out) > 60


@pytest.mark.parametrize("name", ["databasedown", "Doctor", None])
def test_what_is_no_alert_is_refused_with_those_that_are(name):
    with pytest.raises(RefusedError, match=r"there are: DatabaseDown, .*Watchdog"):
        explain(argparse.Namespace(code=name, json=False), ROOT / "docs/operations.md")
