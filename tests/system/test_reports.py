"""The reports of the calendar, of the real appliance."""

import json
import re

import pytest
from machine import wait_until

PERIODS = ("daily", "weekly", "monthly", "quarterly")


@pytest.mark.parametrize("period", PERIODS)
def test_every_section_of_a_report_can_be_made(appliance, period):
    told = json.loads(appliance.run(f"luckygas report {period} --show --json", timeout=700))
    assert "could not be made" not in told["text"], told["text"]
    assert len(told["text"].split("\n\n")) >= 4


def test_a_report_is_kept_by_its_timer_and_what_was_told_is_no_news(appliance):
    timers = [f"luckygas-report-{period}.timer" for period in PERIODS]
    told = appliance.run(f"systemctl show --property=Unit,NextElapseUSecRealtime {' '.join(timers)}")
    assert [f"Unit=luckygas-report@{period}.service" in told for period in PERIODS] == [True] * 4
    assert not re.search("^NextElapseUSecRealtime=$", told, re.MULTILINE)
    appliance.run("rm -f /var/log/luckygas/quarterly-*.txt /var/lib/luckygas/reports/quarterly.json")
    appliance.run("systemctl start luckygas-report@quarterly")
    page = wait_until(lambda: appliance.run("cat /var/log/luckygas/quarterly-*.txt"), "a page")
    assert "+ the drill of 20" in page
    assert re.search(r"database_password is \d+ days old", page)
    appliance.run("systemctl start luckygas-report@quarterly")
    assert "What is new since the last one (+), and what is over (-):\n  nothing" in appliance.run(
        "cat /var/log/luckygas/quarterly-*.txt"
    )
