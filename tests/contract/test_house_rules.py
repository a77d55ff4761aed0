"""Rules of the house that a machine can hold."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "inventory/group_vars/all"
TASKS = sorted(ROOT.glob("roles/*/tasks/*.yml"))
SECRETS = [name for name in yaml.safe_load((INVENTORY / "secrets.yml").read_text()) if name.startswith("secret_")]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_no_task_edits_a_file_in_place_or_ignores_an_error(path):
    assert re.findall(r"\b(?:lineinfile|blockinfile|replace|ignore_errors|set_fact):", path.read_text()) == []


def test_every_secret_is_used_by_the_wiring_and_named_nowhere_else():
    wiring = (INVENTORY / "wiring.yml").read_text()
    keys = [name for name in SECRETS if name != "secret_shape"]
    assert [name for name in keys if name not in wiring] == []
    roles = "\n".join(path.read_text() for path in ROOT.glob("roles/**/*") if path.is_file())
    assert [name for name in keys if re.search(rf"\b{name}\b", roles)] == []


def test_every_role_variable_of_the_wiring_belongs_to_a_role():
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    wiring = yaml.safe_load((INVENTORY / "wiring.yml").read_text())
    owners = {
        name: max((role for role in roles if name.startswith(f"{role}_")), default=None, key=len) for name in wiring
    }
    assert [name for name, owner in owners.items() if owner is None and not name.startswith("machine_")] == []


def test_a_role_names_no_variable_of_another_role():
    wired = {name for name in yaml.safe_load((INVENTORY / "wiring.yml").read_text()) if not name.startswith("machine_")}
    strangers = []
    for path in ROOT.glob("roles/*/[tdv]*/**/*"):
        role = path.relative_to(ROOT / "roles").parts[0]
        if path.is_file():
            used = set(re.findall(r"\b[a-z]+_[a-z_]+\b", path.read_text()))
            strangers += [(path.name, name) for name in used & wired if not name.startswith(f"{role}_")]
    assert strangers == []


def test_the_operator_answers_few_questions_and_each_is_explained():
    lines = [line for line in (INVENTORY / "site.yml").read_text().splitlines() if line.startswith("site_")]
    assert len(lines) <= 16
    assert all("#" in line for line in lines)


def test_preflight_asks_for_exactly_the_shipped_answers():
    questions = yaml.safe_load((ROOT / "roles/base/vars/main.yml").read_text())["__base_questions"]
    assert questions == list(yaml.safe_load((INVENTORY / "site.yml").read_text()))


def test_the_versions_that_may_not_be_left_out_are_older_than_this_one_and_in_order():
    def order(text):
        return [int(number) for number in text.split(".")]

    (version,) = re.findall(r'__version__ = "(.+)"', (ROOT / "app/luckygas/version.py").read_text())
    stops = [order(stop) for stop in yaml.safe_load((INVENTORY / "wiring.yml").read_text())["base_stops"]]
    assert stops == sorted(stops)
    assert all(stop <= order(version) for stop in stops)
