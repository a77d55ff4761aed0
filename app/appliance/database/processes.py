"""The processes of an instance, whoever started them: found by data directory and control group, ended for good."""

import contextlib
import os
import signal
import time
from pathlib import Path

from appliance.database.settings import Instance
from appliance.system import log, run, write_file

SERVER_FILES = "/usr/lib/postgresql/"


class UnkillableError(Exception):
    """A process did not go away."""


def control_group(instance: Instance) -> Path:
    """Return the control group in which systemd runs the instance and everything that starts it."""
    return Path(f"/sys/fs/cgroup/system.slice/system-postgresql.slice/{instance.unit}")


def of(instance: Instance) -> set[int]:
    """Return the process ids that run in the instance's data directory, even a removed one, or in its unit."""
    found = set()
    data = str(instance.data)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                where = str((process / "cwd").readlink())
                # A human's shell in that directory is none of ours.
                if where in (data, f"{data} (deleted)") and str((process / "exe").readlink()).startswith(SERVER_FILES):
                    found.add(int(process.name))
    with contextlib.suppress(OSError):
        found |= {int(line) for line in (control_group(instance) / "cgroup.procs").read_text().split()}
    return found


def postmaster(instance: Instance) -> int | None:
    """Return the process id of the instance's server, if its data directory names a living one."""
    try:
        pid = int((instance.data / "postmaster.pid").read_text().split("\n", 1)[0])
        return pid if Path(f"/proc/{pid}/cwd").readlink() == instance.data else None
    except (OSError, ValueError):
        return None


def kill(instance: Instance, patience: float = 10.0) -> None:
    """End every process of the instance, stopped ones included, and any start that is under way."""
    deadline = time.monotonic() + patience
    while pids := of(instance):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            message = (
                f"{instance.name} still has the processes {sorted(pids)[:5]}: nothing was promoted. "
                f"They hang in the kernel,"
                " usually on a broken disk; when that cannot be mended, restart the machine"
            )
            raise UnkillableError(message)
        time.sleep(0.005)  # the kernel has no event for "this set of processes is gone"
    log(f"{instance.name}: no process is left")


def fence(instance: Instance) -> None:
    """Make the disk say, too, that this instance must not lead, then end it, even when the disk is full."""
    with contextlib.suppress(OSError):
        # The state file is what counts; this one speaks to Debian's own tools, and clients may be waiting.
        write_file(instance.etc / "start.conf", "disabled\n", mode=0o644, owner="postgres", durable=False)
    with contextlib.suppress(OSError):
        (instance.data / "standby.signal").touch(mode=0o600)
        os.chown(instance.data / "standby.signal", instance.data.stat().st_uid, instance.data.stat().st_gid)
    kill(instance)


def start(instance: Instance, *, wait: bool = False) -> None:
    """Have systemd start the instance, past the guard."""
    if (instance.etc / "start.conf").read_text().strip() != "auto":
        write_file(instance.etc / "start.conf", "auto\n", mode=0o644, owner="postgres")
    # A start whose processes were killed under it waits for ever for the server's process id, and the next one with it.
    state = run(["systemctl", "show", "--property=SubState", "--value", instance.unit], timeout=5).stdout.strip()
    if state == "start" and not of(instance):
        run(["systemctl", "stop", instance.unit], timeout=10)
    run(["systemctl", "reset-failed", instance.unit], timeout=10)
    run(["systemctl", "start", *([] if wait else ["--no-block"]), instance.unit], timeout=None if wait else 10)
