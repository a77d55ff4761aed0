"""Every check of the doctor is described in the runbook, and the runbook describes no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = "".join(path.read_text() for path in (ROOT / "app/appliance/doctor").glob("*.py"))
CHECKS = re.findall(r'^@examines\(\s*"([^"]+)"', SOURCES, re.MULTILINE)
PAGE = (ROOT / "docs/operations.md").read_text()
SECTION = re.search(r"^## Doctor\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[1]


def test_the_runbook_describes_each_check_of_the_doctor_once():
    items = "".join(re.findall(r"^- .*(?:\n  .*)*", SECTION, re.MULTILINE))
    described = [name for name in re.findall(r"`([a-z_.]+)`", items) if name != "du"]
    assert sorted(described) == sorted(CHECKS)
    assert len(CHECKS) > 30
