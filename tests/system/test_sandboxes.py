"""What each service may do, what memory it has, and which of them the kernel ends first when there is none."""

import itertools
import re
from pathlib import Path

LIMIT = 3.0
DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
# All of the target, and what timers and sockets begin; of a template, an instance that nobody has.
LOOK = r"""
{ systemctl show --property=Wants --value luckygas.target | tr ' ' '\n'
  systemctl list-unit-files --no-legend --plain 'luckygas-*.service' certbot.service | sed 's/ .*//; s/@[.]/@none./'
} | grep '[.]service$' | sort --unique | xargs systemd-analyze security --no-pager
"""

SLICE = "cat /etc/systemd/system/system-postgresql.slice.d/60-luckygas.conf"
DIES_FIRST = [
    ["luckygas-scratch@none"],
    ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "luckygas-metrics"],
    ["luckygas-worker"],
    ["luckygas-web@a", "luckygas-web@b"],
    ["redis-server@a", "redis-server@b", "nginx"],
    ["pgbouncer", "redis-sentinel@1"],
    ["postgresql@17-pg1", "luckygas-database-supervisor"],
]


def test_no_service_may_do_more_than_is_argued_for(appliance):
    excepted = dict(re.findall(r"^\| `(\S+)` +\| (\d\.\d) \|", DOCUMENT.read_text(), re.MULTILINE))
    told = appliance.run(LOOK)
    found = {name: float(figure) for name, figure in re.findall(r"level for (\S+): (\d+\.\d)", told)}
    assert {"nginx.service", "postgresql@17-pg1.service", "luckygas-report@none.service"} <= set(found)
    allowed = {name: float(excepted.get(name.replace("@none", "@"), LIMIT)) for name in found}
    assert {name: figure for name, figure in found.items() if figure > allowed[name]} == {}


def test_memory_is_bounded_and_the_database_dies_last(appliance):
    share = int(re.search(r"^MemoryHigh=(\d+)M$", appliance.run(SLICE), re.MULTILINE)[1])
    told = appliance.run("systemctl show --property=MemoryHigh --value system-postgresql.slice")
    assert int(told) == share << 20
    names = [name for group in DIES_FIRST for name in group]
    shown = appliance.run(f"systemctl show --property=Id,MemoryMax,OOMScoreAdjust {' '.join(names)}")
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    score = {one["Id"]: int(one["OOMScoreAdjust"]) for one in units}
    order = [{score[f"{name}.service"] for name in group} for group in DIES_FIRST]
    assert all(min(earlier) > max(later) for earlier, later in itertools.pairwise(order)), score
    unbounded = {one["Id"] for one in units if one["MemoryMax"] == "infinity"}
    # Whose master replaces a process that the kernel ended goes on; Debian's own setting would be 0 for each session.
    for name in ("postgresql@17-pg1", "nginx", "luckygas-web@a"):
        assert appliance.run(f"systemctl show --property=OOMPolicy --value {name}") == "continue"
    server = "/proc/$(head -1 /var/lib/postgresql/17/pg1/postmaster.pid)/environ"
    assert "PG_OOM_ADJUST_VALUE=-600" in appliance.run(f"tr '\\0' '\\n' <{server}").splitlines()
    # These are bounded by their slices.
    assert unbounded == {"postgresql@17-pg1.service", "luckygas-scratch@none.service"}
