"""What the program was told about this machine, and where things lie on it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FILE = Path("/etc/luckygas/database.json")
VERSION = "17"
BIN = Path(f"/usr/lib/postgresql/{VERSION}/bin")
SOCKETS = Path("/run/postgresql")
STATE_DIRECTORY = Path("/var/lib/luckygas/database")


@dataclass(frozen=True)
class Instance:
    """One PostgreSQL instance. Its name says nothing about who leads."""

    name: str
    port: int
    number: int

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"postgresql@{VERSION}-{self.name}.service"

    @property
    def watcher(self) -> str:
        """The unit of repmgr's daemon for it."""
        return f"repmgrd@{self.name}.service"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return Path(f"/var/lib/postgresql/{VERSION}/{self.name}")

    @property
    def has_data(self) -> bool:
        """Tell whether its data directory is that of a server, in whatever condition."""
        return os.path.isfile(self.data / "global/pg_control")  # noqa: PTH113 - a broken disk is no answer, and no error

    @property
    def rewinding(self) -> Path:
        """What is there from the beginning of a rewind on until its data is whole again."""
        return STATE_DIRECTORY / f"rewinding-{self.name}"

    @property
    def is_standby(self) -> bool:
        """Tell whether its data says so; without that, or without data, it would start as a primary, or not at all."""
        return os.path.exists(self.data / "standby.signal")  # noqa: PTH110 - a broken disk is no answer, and no error

    @property
    def etc(self) -> Path:
        """Its configuration directory."""
        return Path(f"/etc/postgresql/{VERSION}/{self.name}")

    def address(self, database: str) -> list[str]:
        """Return the options by which PostgreSQL's programs reach one of its databases, as the superuser."""
        return [f"--host={SOCKETS}", f"--port={self.port}", "--username=postgres", f"--dbname={database}"]

    @property
    def slot(self) -> str:
        """The slot that keeps WAL for it on its upstream; repmgr's own name for it."""
        return f"repmgr_slot_{self.number}"


@dataclass(frozen=True)
class Settings:
    """The instances, and the pool in front of them."""

    instances: dict[str, Instance]
    databases: tuple[str, ...]
    pool_port: int
    pool_file: Path
    metrics_file: Path

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file that Ansible (role appliance) writes."""
        told = json.loads(file.read_text())
        instances = [Instance(one["name"], one["port"], number) for number, one in enumerate(told["instances"], 1)]
        return cls(
            instances={one.name: one for one in instances},
            databases=tuple(told["databases"]),
            pool_port=told["pool_port"],
            pool_file=Path(told["pool_file"]),
            metrics_file=Path(told["metrics_file"]),
        )
