"""Every role is built the same way, states its interface, and can check itself."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted((ROOT / "roles").iterdir())
INTERNAL = ("__", "ansible_")


def options(role):
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: spec for entry in specs.values() for name, spec in entry["options"].items()}


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request):
    return request.param


def test_defaults_and_argument_specs_agree(role):
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text()) or {}
    assert defaults == {name: spec["default"] for name, spec in options(role).items() if not spec.get("required")}


def test_every_option_begins_with_the_name_of_its_role(role):
    assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []


def test_every_constant_is_marked_as_internal(role):
    file = role / "vars/main.yml"
    constants = yaml.safe_load(file.read_text()) if file.exists() else {}
    assert [name for name in constants if not name.startswith(f"__{role.name}_")] == []


def test_required_options_are_wired(role):
    wiring = yaml.safe_load((ROOT / "inventory/group_vars/all/wiring.yml").read_text())
    assert [name for name, spec in options(role).items() if spec.get("required") and name not in wiring] == []


def test_every_role_can_check_itself_and_has_a_scenario(role):
    assert (role / "tasks/verify.yml").is_file()
    assert (ROOT / "molecule" / role.name / "molecule.yml").is_file()


def test_task_files_stay_short(role):
    long = {path.name: len(path.read_text().splitlines()) for path in (role / "tasks").glob("*.yml")}
    assert {name: lines for name, lines in long.items() if lines > 80} == {}


def test_every_readme_has_the_same_heads(role):
    lines = (role / "README.md").read_text().splitlines()
    assert lines[0] == f"# {role.name}"
    assert [line for line in lines if line.startswith("## ")] == [
        "## Owns",
        "## Listens",
        "## Files",
        "## Verify",
        "## Undo",
    ]
    assert len(lines) <= 30


def test_the_playbook_lists_every_role_once():
    site = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    listed = [entry["role"] for entry in site[-1]["roles"]]
    assert sorted(listed) == [role.name for role in ROLES]
    assert all(entry["tags"] == entry["role"] for entry in site[-1]["roles"])
