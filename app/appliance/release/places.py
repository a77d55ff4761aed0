"""Where releases lie, and what is known of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path("/opt/luckygas")
RELEASES = ROOT / "releases"
CURRENT = ROOT / "current"
# A link for each process that serves, so that one of them takes a release while the others keep theirs.
INSTANCES = ROOT / "instances"
MARK = "complete"  # what is in the directory of a release whose build came to its end
SETTINGS_FILE = Path("/etc/luckygas/release.json")
STATE_FILE = Path("/var/lib/luckygas/release/state.json")
LOCK = Path("/run/luckygas-release.lock")
TOOLS = Path("/usr/local/sbin/luckygas-app")
WORKER = "worker"
# What serves beside the web instances, and takes a release after them.
SERVICES = (WORKER, "metrics")
# An instance that nginx does not know: a release serves there first.
CANDIDATE = "candidate"


@dataclass(frozen=True)
class Settings:
    """What the program was told about this machine."""

    instances: tuple[str, ...]
    # Files and globs, a change of which needs a restart of what serves.
    files: tuple[str, ...]

    @classmethod
    def load(cls, file: Path = SETTINGS_FILE) -> Self:
        """Read the file that Ansible (role luckygas) writes."""
        told = json.loads(file.read_text())
        return cls(tuple(told["instances"]), tuple(told["files"]))


def unit_of(process: str) -> str:
    """Return the systemd unit of a web instance, or of a service beside them."""
    return f"luckygas-{process}.service" if process in SERVICES else f"luckygas-web@{process}.service"


def socket_of(instance: str) -> Path:
    """Return where a web instance listens."""
    return Path(f"/run/luckygas-web-{instance}/app.sock")
