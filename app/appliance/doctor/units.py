"""Units: failed, masked, not to come back at boot, changed by hand, older than what is installed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL
from appliance.status.machine import wanted
from appliance.system import run
from appliance.units import running_replaced, shown

OURS = (
    "luckygas-*",
    "nginx.service",
    "pgbouncer.service",
    "prometheus.service",
    "prometheus-*.service",
    "certbot.timer",
)
MARKS = ("Managed by Ansible", "Ansible managed")
# These say themselves, by `luckygas db`, `redis` and `release`, whether they wait for a restart.
RESTARTED_BY_THEIR_PART = re.compile(r"(postgresql@|pgbouncer|redis-|luckygas-(web@|worker|metrics)).*")
# systemd's own number of the message that the kernel ended a process of a unit.
OUT_OF_MEMORY = "fe6faa94e7774663a0da52717891d8ef"


def listed(*options: str) -> list[str]:
    """Return the names that a list of systemctl begins with."""
    lines = run(["systemctl", *options, "--no-legend", "--plain", "--full"], timeout=10).stdout.splitlines()
    return [line.split()[0] for line in lines if line.strip()]


@examines("units.failed", why="what it does is not done", what="systemctl status {}")
def failed(_: Settings) -> Iterator[Found]:
    """Find units that failed; those of the appliance itself are in `services`."""
    ours = wanted()
    for name in listed("list-units", "--state=failed"):
        if name not in ours:
            yield Found(f"{name} failed", name)


@examines("units.masked", why="it cannot be started, at the next boot neither", what="systemctl unmask {}")
def masked(_: Settings) -> Iterator[Found]:
    """Find units of the appliance that somebody masked."""
    for one in shown(wanted(), "Id", "UnitFileState"):
        if one["UnitFileState"].startswith("masked"):
            yield Found(f"{one['Id']} is masked", one["Id"])


@examines("units.disabled", why="it will not be there after the next boot", what="systemctl enable {}")
def disabled(_: Settings) -> Iterator[Found]:
    """Find units of the appliance that would not come back at boot."""
    ours = wanted()
    for name in listed("list-unit-files", "--state=disabled", *OURS):
        if "@." not in name and name not in ours:
            yield Found(f"{name} is disabled", name)


@examines("timers.stopped", why="what it begins is not begun any more", what="systemctl start {}")
def stopped(_: Settings) -> Iterator[Found]:
    """Find timers that are enabled and do not run; those of the appliance itself are in `services`."""
    ours = wanted()
    names = [name for name in listed("list-unit-files", "--type=timer", "--state=enabled") if "@." not in name]
    for one in shown([name for name in names if name not in ours], "Id", "ActiveState", "ConditionResult"):
        # A condition, such as "not in a container", is a reason of its own.
        if one["ActiveState"] == "inactive" and one["ConditionResult"] == "yes":
            yield Found(f"{one['Id']} does not run", one["Id"])


@examines("units.overridden", why="it was changed by hand, and the playbook does not know", what="systemctl cat {}")
def overridden(_: Settings) -> Iterator[Found]:
    """Find units that a file overrides which Ansible did not write."""
    for one in shown(wanted(), "Id", "FragmentPath", "DropInPaths"):
        for file in [one["FragmentPath"], *one["DropInPaths"].split()]:
            if file.startswith(("/etc/", "/run/")) and not is_ours(Path(file)):
                yield Found(f"{file} of {one['Id']}", one["Id"])


def is_ours(file: Path) -> bool:
    """Tell whether Ansible wrote a file, or it is the mark of a masked unit, which is none."""
    return not file.is_file() or any(mark in file.read_text() for mark in MARKS)


@examines("units.reload_needed", why="systemd works with what was there before", what="systemctl daemon-reload")
def reload_needed(_: Settings) -> Iterator[Found]:
    """Find units whose file on disk is newer than what systemd read."""
    for one in shown(wanted(), "Id", "NeedDaemonReload"):
        if one["NeedDaemonReload"] == "yes":
            yield Found(f"{one['Id']} was changed on disk", one["Id"])


@examines("units.replaced", why="an upgrade is installed and not in force", what="systemctl restart {}")
def replaced(_: Settings) -> Iterator[Found]:
    """Find services that run a program, or a library, which an upgrade has replaced."""
    for name in running_replaced(name for name in wanted() if not RESTARTED_BY_THEIR_PART.match(name)):
        yield Found(f"{name} runs what was replaced", name)


@examines(
    "memory.exhausted",
    why="the kernel ended it since memory ran out, and may do so again",
    what=f"journalctl --since=-1d MESSAGE_ID={OUT_OF_MEMORY}",
    severity=CRITICAL,
)
def out_of_memory(_: Settings) -> Iterator[str]:
    """Find units of which a process was ended within the last day, by systemd's word."""
    command = ["journalctl", "--quiet", "--since=-1d", "--output=json", f"MESSAGE_ID={OUT_OF_MEMORY}"]
    told = [json.loads(line) for line in run(command, timeout=15).stdout.splitlines()]
    yield from sorted({one.get("UNIT", "a unit") for one in told})
