"""The processes that serve: giving one of them a release, and waiting until it serves that and is well."""

import http.client
import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.output import RefusedError
from appliance.release.checking import tool
from appliance.release.installed import point, target
from appliance.release.places import CANDIDATE, INSTANCES, SERVICES, WORKER, Settings, socket_of, unit_of
from appliance.system import has_replaced_files, run
from appliance.units import is_older_than_its_files, properties

GATE_SECONDS = 45.0
ASK_SECONDS = 5.0
START_SECONDS = 120
PAUSE_SECONDS = 0.2


class NotServingError(Exception):
    """A process does not serve what it was told to, or not well."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket of one instance, past nginx."""

    def __init__(self, path: Path) -> None:
        """Prepare; `path` is the socket."""
        super().__init__("localhost", timeout=ASK_SECONDS)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(instance: str, path: str) -> tuple[int, dict[str, Any]]:
    """Ask one instance; returns the status and the JSON that it answered, or 0 and why it did not."""
    connection = UnixConnection(socket_of(instance))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return 0, {"problem": str(problem) or type(problem).__name__}
    finally:
        connection.close()
    return (answer.status, told) if isinstance(told, dict) else (0, {"problem": "it answers no object"})


def complaint(process: str, release: str) -> str:
    """Return why a process is not good enough to get requests, or jobs; nothing when it is."""
    if process in SERVICES:
        return complaint_of_service(process, release)
    status, told = ask(process, "/healthz")
    if status != http.client.OK:
        return str(told.get("problem", f"/healthz answers {status}"))
    if told.get("release") != release:
        return f"it serves {told.get('release')}"
    status, told = ask(process, "/api/v1/health")
    return "" if status == http.client.OK else "; ".join(told.get("reasons") or [f"its health answers {status}"])


def complaint_of_service(process: str, release: str) -> str:
    """Return why a service beside the web instances does not work; nothing when it does."""
    if properties(unit_of(process))["ActiveState"] != "active":
        return "it does not run"
    if process != WORKER:
        return ""
    try:
        return "" if "alive" in tool(release, "job", "worker") else "its heart does not beat"
    except RefusedError as problem:
        return str(problem)


def wait_until_well(process: str, release: str, seconds: float = GATE_SECONDS) -> None:
    """Wait until a process serves a release and is well."""
    deadline = time.monotonic() + seconds
    while why := complaint(process, release):
        if time.monotonic() >= deadline:
            raise NotServingError(f"{release} on {unit_of(process)}: {why}, for {seconds:.0f} s")
        time.sleep(PAUSE_SECONDS)


def begin(process: str, release: str) -> None:
    """Have a process run a release, with the settings on disk, and wait until it is well."""
    point(INSTANCES / process, release)
    unit = unit_of(process)
    run(["systemctl", "daemon-reload"], timeout=60)
    # One that has failed a few times is not begun again by systemd until this is forgotten.
    run(["systemctl", "reset-failed", unit], timeout=10)
    since = time.time()
    result = run(["systemctl", "restart", unit], timeout=START_SECONDS)
    if result.returncode:
        raise NotServingError(f"{release} on {unit} does not start: {journal(unit, since) or result.stderr.strip()}")
    wait_until_well(process, release)


def try_out(release: str) -> None:
    """Run a release where no request reaches it."""
    try:
        begin(CANDIDATE, release)
    finally:
        run(["systemctl", "stop", unit_of(CANDIDATE)], timeout=60)
        (INSTANCES / CANDIDATE).unlink(missing_ok=True)


def journal(unit: str, since: float) -> str:
    """Return what a unit said last, and may be the reason for its failure."""
    command = [
        "journalctl",
        "--output=cat",
        "--no-pager",
        "--lines=40",
        f"--since=@{since:.0f}",
        f"_SYSTEMD_UNIT={unit}",
    ]
    said = [line.strip() for line in run(command, timeout=30).stdout.splitlines() if line.strip()]
    # Of a traceback the line that names the error; else what was said last.
    named = [line for line in said if "Error" in line.split(":")[0]]
    return (named or said or [""])[-1][:500]


def is_due(process: str, release: str, settings: Settings) -> bool:
    """Tell whether a process does not run that release with the settings, and the programs, on disk."""
    unit = properties(unit_of(process))
    return (
        unit["ActiveState"] != "active"
        or target(INSTANCES / process) != release
        or unit["NeedDaemonReload"] == "yes"
        or is_older_than_its_files(unit, [str(INSTANCES / process), *settings.files])
        or has_replaced_files(int(unit["MainPID"]))
    )


def due(release: str, settings: Settings) -> list[str]:
    """Return the processes that have to be begun anew, the web instances first."""
    return [one for one in processes(settings) if is_due(one, release, settings)]


def processes(settings: Settings) -> Sequence[str]:
    """Return all that serves."""
    return (*settings.instances, *SERVICES)
