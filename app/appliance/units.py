"""What systemd knows of a unit, and whether it runs with what is on disk."""

import glob
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from appliance.output import RefusedError
from appliance.system import has_replaced_files, run


def properties(unit: str) -> dict[str, str]:
    """Return what systemd knows of a unit; times in UTC with microseconds."""
    names = "ActiveState", "FragmentPath", "DropInPaths", "ActiveEnterTimestamp", "MainPID", "NeedDaemonReload"
    return shown([unit], *names)[0]


def shown(units: Iterable[str], *names: str) -> list[dict[str, str]]:
    """Return the same properties of several units, in one question; a systemd that says nothing is an error."""
    units = list(units)
    if not units:
        return []
    told = run(["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(names)}", *units], timeout=10)
    blocks = told.stdout.strip().split("\n\n")
    if not blocks[0]:
        message = (
            f"systemd says nothing of {', '.join(units)} ({told.stderr.strip()}): it may just be starting anew, so try "
            f"again; while `systemctl` stays silent, only a restart of the machine helps"
        )
        raise RefusedError(message)
    return [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]


def running_replaced(units: Iterable[str]) -> list[str]:
    """Return those that run a program, or a library, which an upgrade has replaced."""
    return [one["Id"] for one in shown(units, "Id", "MainPID") if has_replaced_files(int(one.get("MainPID", "0")))]


def started(unit: dict[str, str]) -> float:
    """Return when a unit was started, in epoch seconds, from its properties."""
    return datetime.strptime(f"{unit['ActiveEnterTimestamp']} +0000", "%a %Y-%m-%d %H:%M:%S.%f %Z %z").timestamp()


def is_older_than_its_files(unit: dict[str, str], others: Iterable[str] = ()) -> bool:
    """Tell whether a unit that runs was started before its own files, or others (globs), were changed.

    A link counts as itself.
    """
    since = started(unit)
    own = [unit["FragmentPath"], *unit["DropInPaths"].split()]
    found = [*own, *(path for pattern in others for path in glob.glob(pattern))]  # noqa: PTH207 - Path.glob is relative
    return any(Path(file).lstat().st_ctime > since for file in found if file and Path(file).exists())
