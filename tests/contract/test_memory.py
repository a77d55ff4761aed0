"""Memory is not promised twice: with everybody else at their limit, PostgreSQL's buffers and the system still fit."""

import re
from pathlib import Path

import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[2]
SYSTEM_MB = 384  # the kernel, journald, sshd, and a playbook that runs
# Of each file, how many processes of the machine it bounds.
UNITS = {
    "redis/templates/unit.conf.j2": "redis_instances",
    "redis_sentinel/files/unit.conf": "redis_sentinel_instances",
    "repmgr/files/repmgrd@.service": "postgresql_instances",
    "exporters/templates/unit.conf.j2": "exporters_list",
    "luckygas/templates/luckygas-web@.service.j2": "luckygas_instances",
}
WIRING = yaml.safe_load((ROOT / "inventory/group_vars/all/wiring.yml").read_text())


def limits() -> dict[str, str]:
    """Return each unit's limit as it is written; that of a role's jobs stands in their slice."""
    files = [file for kind in ("files", "templates") for file in ROOT.glob(f"roles/*/{kind}/*")]
    found = {file: re.search(r"^MemoryMax=(.*)M$", file.read_text(), re.MULTILINE) for file in files if file.is_file()}
    return {str(file.relative_to(ROOT / "roles")): told[1] for file, told in found.items() if told}


def sizes(memory_mb: int) -> dict[str, int]:
    """Return what the wiring makes of a machine's memory."""
    known = {"machine_memory_mb": memory_mb, "machine_is_sandbox": False}
    names = [name for name in WIRING if name.endswith("_memory_mb") and name != "machine_memory_mb"]
    return {name: int(jinja2.Template(WIRING[name]).render(known)) for name in names}


# The least that preflight takes for 8 GB, in the steps of the wiring; what kernels leave of 8 and of 16.
@pytest.mark.parametrize("memory_mb", [7552, 7680, 7936, 15_872])
def test_what_is_promised_is_there(memory_mb):
    size = sizes(memory_mb)
    taken = {
        file: int(jinja2.Template(limit).render(size)) * (len(WIRING[UNITS[file]]) if file in UNITS else 1)
        for file, limit in limits().items()
    }
    assert set(UNITS) <= set(taken)
    buffers = size["postgresql_memory_mb"] // 4
    assert sum(taken.values()) + buffers + SYSTEM_MB <= memory_mb, taken
    assert size["redis_memory_mb"] * 2 < taken["redis/templates/unit.conf.j2"]
    assert size["postgresql_memory_mb"] == memory_mb // 2
