"""The Redis pair under test, reached as an operator would, and a client that writes while something happens."""

import json
from dataclasses import dataclass

from load import Load, Write
from machine import Machine, wait_until

PORTS = {"a": 6379, "b": 6380}


@dataclass
class Pair:
    """Both instances and the three sentinels."""

    machine: Machine

    def run(self, command: str, *, check: bool = True) -> str:
        return self.machine.run(command, check=check)

    def cli(self, port: int, command: str) -> str:
        password = self.machine.secrets()["redis_admin_password"]
        return self.run(f"REDISCLI_AUTH={password} redis-cli -p {port} --user admin --no-auth-warning {command}")

    def status(self) -> dict:
        return json.loads(self.run("luckygas redis status --json", check=False))

    def master(self) -> str:
        return self.status()["master"]

    def is_whole(self) -> bool:
        told = self.status()
        linked = [node["link"] for node in told["nodes"] if node["role"] == "replica"]
        return linked == ["up"] and [one["master"] for one in told["sentinels"]] == [told["master"]] * 3

    def wait_until_whole(self, seconds: float = 120) -> None:
        """Wait until a failover would find everything ready: sentinels count a replica after they heard from it."""
        wait_until(self.is_whole, "Redis to be whole", seconds)
        port = PORTS[self.master()]

        def known() -> bool:
            fields = self.cli(26379, "SENTINEL REPLICAS luckygas").split()
            return "flags slave " in " ".join(fields) + " " and "master-link-status ok" in " ".join(fields)

        wait_until(known, f"the sentinels to know the replica of {port}", 60)

    def hold(self, unit: str) -> None:
        """Have systemd not start a unit again that dies, so that the sentinels have to act."""
        self.run(f"mkdir -p /run/systemd/system/{unit}.d; printf '[Service]\\nRestart=no\\n' >"
                 f"/run/systemd/system/{unit}.d/90-held.conf; systemctl daemon-reload")  # fmt: skip

    def release(self, unit: str) -> None:
        """Start it, and let systemd do so from now on."""
        self.run(f"rm -r /run/systemd/system/{unit}.d; systemctl daemon-reload; systemctl start {unit}")

    def pid(self, unit: str) -> str:
        return self.run(f"systemctl show --value --property=MainPID {unit}")


class RedisLoad(Load):
    """A client that writes every 50 ms."""

    def __init__(self, pair: Pair, period: float = 0.05):
        super().__init__(pair.machine, "redis_load.py", "/opt/luckygas/current/venv/bin/python", period)
        self.pair = pair

    def writes_again(self, at: float) -> bool:
        """Tell whether a write that began after `at` was followed by others, so that it was no last gasp."""
        return len([write for write in self.acknowledged() if write.began > at + 0.2]) > 5

    def refused(self) -> list[Write]:
        return [write for write in self.writes if "Auth" in write.error or "NOPERM" in write.error]

    def lost(self) -> set[str]:
        """Return the acknowledged writes that the master does not have."""
        port = PORTS[self.pair.master()]
        return self.not_in(set(self.pair.cli(port, "--scan --pattern 'lg:load:*'").split()))
