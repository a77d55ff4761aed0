"""The list of secrets that the playbook makes, and the list by which the machine replaces them, are one."""

import re
from pathlib import Path

import pytest
import yaml

from appliance.rotate.secrets import SECRETS

ROOT = Path(__file__).parents[2]
GROUP = ROOT / "inventory/group_vars/all"
TEXT = (GROUP / "secrets.yml").read_text()
WIRING = yaml.safe_load((GROUP / "wiring.yml").read_text())


def test_every_secret_has_a_way_to_be_replaced_or_a_reason():
    listed = re.findall(r"secrets_dir ~ '/(\w+)", TEXT)
    assert listed
    assert sorted(listed) == sorted(SECRETS)


def test_what_is_given_or_cannot_be_replaced_is_what_the_list_says():
    made = set(re.findall(r"\.password', secrets_dir ~ '/(\w+)", TEXT))
    companies = {"google_secret", "sms_secret", "banking_secret", "einvoice_secret"}
    assert {name for name, one in SECRETS.items() if not one.not_here} == made - companies - {"backup_passphrase"}


@pytest.mark.parametrize("name", [name for name, one in SECRETS.items() if not one.not_here])
def test_new_values_have_the_shape_of_the_first_ones(name):
    line = next(line for line in TEXT.splitlines() if f"/{name}" in line)
    shape = re.search(r"length=(\d+) chars=([\w,+/]+)", line + (TEXT if "secret_shape" in line else ""))
    value = SECRETS[name].new_value()
    assert len(value) == int(shape[1])
    letters = shape[2].replace("ascii_letters", "a-zA-Z").replace("digits", "0-9").replace(",", "")
    assert re.fullmatch(f"[{letters}]+", value)


def test_roles_and_credentials_are_those_of_the_wiring():
    roles = {one["name"]: re.search(r"secret_(\w+)", one["password"])[1] for one in WIRING["postgresql_roles"]}
    assert roles == {one.role: one.name for one in SECRETS.values() if one.role}
    handed = {name for name, one in SECRETS.items() if one.handed}
    assert handed == {name for name in WIRING["luckygas_credentials"] if not SECRETS[name].not_here}
