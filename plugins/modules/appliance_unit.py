"""Ansible module: systemd units that run with the configuration that is on disk."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: appliance_unit
short_description: Keep systemd units enabled, running, and running with the configuration that is on disk
description:
  - Takes the place of a handler. A handler is lost when a run is broken off between the change of a file and the
    end of the play; the service then goes on with its old configuration and no later run notices. This module
    compares instead - the files' change times with the time at which systemd last started or reloaded the unit -
    so that every run, whatever happened to the one before it, ends in the same state.
  - A unit's own file and drop-ins always count, and always need a restart.
  - Several units take one round trip, and each is judged by itself. The first that fails ends it.
options:
  name: {type: list, elements: str, required: true, description: "The units, with their suffixes."}
  each:
    type: list
    elements: str
    default: [""]
    description: What {} stands for in the names and files, one after the other; instances of a template, mostly.
  restart_on:
    type: list
    elements: path
    default: []
    description: Files (globs; a link counts as itself) whose change needs a restart.
  reload_on:
    type: list
    elements: path
    default: []
    description: Files (globs) for whose change a reload is enough.
  may_restart:
    type: bool
    default: true
    description:
      - False for a unit whose restart is a procedure of its own, such as a database that leads. It is then started
        and reloaded only; a restart that is due stays due.
  check_command:
    type: str
    description: Run before a start, restart or reload; when it fails, the running service is left alone.
"""

RETURN = """
units:
  type: dict
  returned: always
  description:
    - By the unit's name, its C(action), which is none, start, restart or reload, and C(because), the file or state
      that asked for it; empty for none.
"""

TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


def run(module: AnsibleModule, *command: str, fail: str | None = None) -> str:
    """Return a command's standard output; with `fail`, a non-zero exit ends the module with that sentence."""
    code, out, err = module.run_command(list(command))
    if code != 0 and fail:
        module.fail_json(msg=f"{fail}: {(err or out).strip()}", rc=code)
    return out.strip()


def properties(module: AnsibleModule, unit: str) -> dict[str, str]:
    """Return what systemd knows of the unit, times in UTC with microseconds."""
    names = (
        "LoadState,ActiveState,UnitFileState,NeedDaemonReload,FragmentPath,DropInPaths,"
        "ActiveEnterTimestamp,StateChangeTimestamp"
    )
    out = run(module, "systemctl", "show", "--timestamp=us+utc", f"--property={names}", unit, fail="systemctl show")
    return dict(line.split("=", 1) for line in out.splitlines())


def seconds(timestamp: str) -> float:
    """Turn 'Mon 2026-11-23 04:05:06.123456 UTC' into seconds since the epoch; empty means never."""
    if not timestamp:
        return 0.0
    _, day, time, _ = timestamp.split()
    return datetime.strptime(f"{day} {time} +0000", f"{TIME_FORMAT} %z").timestamp()


def newest(patterns: list[str]) -> tuple[float, str]:
    """Return change time and path of the file that changed last; (0.0, '') when none exists."""
    found = [(os.lstat(path).st_ctime, path) for pattern in patterns for path in glob.glob(pattern)]
    return max(found, default=(0.0, ""))


def decide(params: dict, state: dict[str, str]) -> tuple[str, str]:
    """Return the action that brings the unit to its configuration, and why."""
    if state.get("ActiveState") not in ("active", "reloading"):
        return "start", f"it is {state.get('ActiveState')}"
    unit_files = [state["FragmentPath"], *state["DropInPaths"].split()]
    changed, path = newest([*params["restart_on"], *(glob.escape(file) for file in unit_files if file)])
    if params["may_restart"] and changed > seconds(state["ActiveEnterTimestamp"]):
        return "restart", path
    changed, path = newest(params["reload_on"])
    if changed > seconds(state["StateChangeTimestamp"]):
        return "reload", path
    return "none", ""


def is_enabled(unit: str, state: dict[str, str], root: Path = Path("/etc/systemd/system")) -> bool:
    """Tell whether the unit is enabled in every way that its file and drop-ins ask for.

    To systemd a unit is enabled when one link of several is there, so that a drop-in's wish would go unheard when the
    package had enabled the unit before.
    """
    # A slice that systemd makes by itself has no file, and so nothing to enable.
    if state.get("UnitFileState") in ("", "static", "generated", "indirect", "transient"):
        return True
    text = "\n".join(Path(file).read_text() for file in [state["FragmentPath"], *state["DropInPaths"].split()] if file)
    targets = {target for line in re.findall(r"^WantedBy=(.*)$", text, re.MULTILINE) for target in line.split()}
    return state.get("UnitFileState") == "enabled" and all((root / f"{t}.wants" / unit).is_symlink() for t in targets)


def journal_tail(unit: str) -> str:
    """Return the last lines that the unit logged, for the message of a failure."""
    command = ["journalctl", "--no-pager", "--lines=15", "--output=cat", f"--unit={unit}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def bring(module: AnsibleModule, unit: str, params: dict) -> tuple[bool, str, str]:
    """Bring one unit to its configuration; return whether that changed it, by which action, and why."""
    state = properties(module, unit)
    if state.get("LoadState") == "not-found" and module.check_mode:
        return True, "start", "the unit is not installed yet"
    if state.get("NeedDaemonReload") == "yes" or state.get("LoadState") == "not-found":
        if not module.check_mode:
            run(module, "systemctl", "daemon-reload", fail="systemctl daemon-reload")
            state = properties(module, unit)
        if state.get("LoadState") == "not-found" and not module.check_mode:
            module.fail_json(msg=f"There is no unit {unit}.")

    enable = not is_enabled(unit, state)
    action, because = decide(params, state)
    if not module.check_mode:
        if params["check_command"] and action != "none":
            run(module, "/bin/sh", "-c", params["check_command"], fail=f"{unit} was left as it is")
        if enable:
            run(module, "systemctl", "enable", "--quiet", unit, fail=f"systemctl enable {unit}")
        if action != "none":
            code, out, err = module.run_command(["systemctl", action, unit])
            if code != 0:
                module.fail_json(
                    msg=f"systemctl {action} {unit}: {(err or out).strip()}\n{journal_tail(unit)}", rc=code
                )
    return enable or action != "none", action, because


def fill(params: dict) -> dict[str, dict]:
    """Return every unit with its own parameters, in which {} stands no more."""
    return {
        name.replace("{}", one): params
        | {key: [path.replace("{}", one) for path in params[key]] for key in ("restart_on", "reload_on")}
        for one in params["each"]
        for name in params["name"]
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "each": {"type": "list", "elements": "str", "default": [""]},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "may_restart": {"type": "bool", "default": True},
            "check_command": {"type": "str"},
        },
        supports_check_mode=True,
    )
    done = {unit: bring(module, unit, params) for unit, params in fill(module.params).items()}
    module.exit_json(
        changed=any(changed for changed, _, _ in done.values()),
        units={unit: {"action": action, "because": because} for unit, (_, action, because) in done.items()},
    )


if __name__ == "__main__":
    main()
