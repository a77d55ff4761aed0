"""Every alert says how bad it is, in one sentence, where to read on, and is tested both ways."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "roles/prometheus/files/alerts.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASES = yaml.safe_load((ROOT / "tests/alerts/cases.yml").read_text())
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
