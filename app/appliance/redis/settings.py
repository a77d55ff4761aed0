"""What the program was told about this machine, and where things lie on it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

FILE = Path("/etc/luckygas/redis.json")
SENTINEL_FILE = Path("/etc/luckygas/redis_sentinel.json")
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
    password: str = field(repr=False)  # of its user admin

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
    """The instances and the sentinels."""

    instances: dict[str, Server]
    sentinels: dict[str, Server]

    @classmethod
    def load(cls, file: Path = FILE, sentinel_file: Path = SENTINEL_FILE) -> Self:
        """Read the files that Ansible writes: role redis one, role redis_sentinel the other."""
        return cls(servers_in(file, "redis"), servers_in(sentinel_file, "sentinel"))

    @property
    def servers(self) -> list[Server]:
        """All of them."""
        return [*self.instances.values(), *self.sentinels.values()]


def servers_in(file: Path, kind: str) -> dict[str, Server]:
    """Return the servers of a file; none where the role that writes it was not there yet."""
    if not file.exists():
        return {}
    told = json.loads(file.read_text())
    return {one["name"]: Server(one["name"], one["port"], kind, told["password"]) for one in told["instances"]}
