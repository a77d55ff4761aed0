"""Packages: half installed, held back, and what keeps them from touching the database."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL
from appliance.system import run

LISTS = Path("/var/lib/apt/lists")
GUARD = Path("/usr/sbin/policy-rc.d")
FORBIDDEN = 101
OLD_SECONDS = 8 * 86400


@examines(
    "packages.broken",
    why="the next installation fails, too",
    what="dpkg --configure -a; dpkg --audit",
    severity=CRITICAL,
)
def broken(_: Settings) -> Iterator[str]:
    """Find packages that an installation left halfway."""
    states = run(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n"], timeout=20).stdout
    for line in states.splitlines():
        state, name = line.split(" ", 1)
        if state in {"unpacked", "half-configured", "half-installed", "triggers-awaited", "triggers-pending"}:
            yield f"{name} is {state}"


@examines("packages.held", why="it gets no security updates", what="apt-mark unhold {}")
def on_hold(_: Settings) -> Iterator[Found]:
    """Find packages that somebody holds back."""
    for name in run(["apt-mark", "showhold"], timeout=20).stdout.split():
        yield Found(f"{name} is held back", name)


@examines("packages.index", why="nobody would learn of a security update", what="apt-get update; apt list --upgradable")
def index(_: Settings) -> Iterator[str]:
    """Ask when Debian was last asked for its packages."""
    # Where nothing is new, only the directory in which apt tries shows that it asked.
    newest = max((file.stat().st_ctime for file in (*LISTS.glob("*Release"), *LISTS.glob("partial"))), default=0.0)
    if time.time() - newest > OLD_SECONDS:
        yield f"Debian was asked {(time.time() - newest) / 86400:.0f} days ago" if newest else "Debian was never asked"


@examines(
    "packages.guard",
    why="the next upgrade of PostgreSQL would stop every instance at once",
    what="ls -l /usr/sbin/policy-rc.d, then run the playbook",
    severity=CRITICAL,
)
def guard(_: Settings) -> Iterator[str]:
    """Ask the program that package scripts ask, as they do."""
    if not os.access(GUARD, os.X_OK):
        yield f"{GUARD} cannot be run"
    elif run([GUARD, "postgresql@17-pg1.service", "restart"], timeout=5).returncode != FORBIDDEN:
        yield f"{GUARD} allows a package to restart PostgreSQL"
