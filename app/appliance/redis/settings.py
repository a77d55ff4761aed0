"""What the program was told about this machine, and where things lie on it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

FILE = Path("/etc/luckygas/redis.json")
MANAGED = Path("/etc/redis/managed")
DATA = Path("/var/lib/redis")
LOCK = Path("/run/luckygas-redis.lock")
HOST = "127.0.0.1"
# Under which name the sentinels watch the pair, and how many of them must agree.
WATCHED = "luckygas"
QUORUM = 2


@dataclass(frozen=True)
class Server:
    """A Redis or a Sentinel. The name of a Redis says nothing about who is master."""

    name: str
    port: int
    kind: str  # redis or sentinel

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"redis-{'server' if self.kind == 'redis' else 'sentinel'}@{self.name}.service"

    @property
    def managed(self) -> Path:
        """Its settings, which Ansible writes."""
        return MANAGED / f"{self.kind}-{self.name}.conf"

    @property
    def state(self) -> Path:
        """Its settings that it rewrites itself."""
        return (
            DATA / self.name / "redis.conf"
            if self.kind == "redis"
            else DATA / f"sentinel-{self.name}" / "sentinel.conf"
        )

    @property
    def data(self) -> Path:
        """Its directory of data."""
        return self.state.parent


@dataclass(frozen=True)
class Settings:
    """The instances and the sentinels, and the password of the user `admin` on all of them."""

    instances: dict[str, Server]
    sentinels: dict[str, Server]
    password: str = field(repr=False)

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file that Ansible (role redis) writes."""
        told = json.loads(file.read_text())
        return cls(
            instances={one["name"]: Server(one["name"], one["port"], "redis") for one in told["instances"]},
            sentinels={one["name"]: Server(one["name"], one["port"], "sentinel") for one in told["sentinels"]},
            password=told["password"],
        )

    @property
    def servers(self) -> list[Server]:
        """All of them."""
        return [*self.instances.values(), *self.sentinels.values()]
