"""The converged appliance under test, reached as an operator would: by commands on it."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent


def run_in_network_of(name: str, *arguments: str, place: Path, **environment: str) -> subprocess.Popen:
    """Run something in the network of a machine, with the Python and the packages of the tests."""
    asked = ["podman", "inspect", "--format", "{{.State.Pid}}", name]
    pid = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    # It ends with the tests, also when they are killed.
    command = ["setpriv", "--pdeathsig=KILL", "nsenter", "--net", f"--target={pid}", sys.executable, *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=place, env=os.environ | environment, **quiet)


@dataclass(frozen=True)
class Write:
    """One write of the load, and what became of it. Times in seconds since the epoch."""

    began: float
    ended: float
    key: str
    port: int
    error: str


@dataclass
class Machine:
    """A container that stands in for the VM."""

    name: str
    secrets: Path

    @property
    def password(self) -> str:
        """Return the service's for the database, which tests may have replaced."""
        return (self.secrets / "database_password").read_text().split()[0]

    def run(
        self, command: str, *, check: bool = True, timeout: float = 300, environment: dict[str, str] | None = None
    ) -> str:
        """Run a shell command in the machine and return what it printed."""
        extra = [word for key, value in (environment or {}).items() for word in ("--env", f"{key}={value}")]
        done = subprocess.run(
            ["podman", "exec", *extra, self.name, "sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def status(self) -> dict:
        """Return `luckygas db status`."""
        return json.loads(self.run("luckygas db status --json", check=False) or "{}")

    def primary(self) -> str | None:
        """Return who leads."""
        return self.status().get("primary")

    def standbys(self) -> list[str]:
        """Return who follows."""
        return [node["name"] for node in self.status()["nodes"] if node["role"] == "standby"]

    def port(self, instance: str) -> int:
        """Return an instance's port."""
        told = json.loads(self.run("cat /etc/luckygas/database.json"))
        return next(one["port"] for one in told["instances"] if one["name"] == instance)

    def sql(self, instance: str, statement: str, database: str = "luckygas", **options) -> str:
        """Run SQL on an instance, past the pool."""
        where = f"-h /run/postgresql -p {self.port(instance)} -U postgres -d {database}"
        command = f'psql -XAtq -v ON_ERROR_STOP=1 {where} -c "{statement}"'
        return self.run(command, **options)

    def on_primary(self, statement: str, database: str = "luckygas", *, check: bool = True, **options) -> str:
        """Run SQL where writes go; without `check` nothing comes back while nobody leads."""
        leader = self.status().get("primary")
        return self.sql(leader, statement, database, check=check, **options) if leader or check else ""

    def wait(self, condition: Callable[[], object], why: str, timeout: float = 60) -> float:
        """Wait until a condition holds; return how long that took."""
        began = looked = time.monotonic()
        while not condition():
            assert time.monotonic() - began < timeout, f"waited {timeout} s until {why}; status: {self.status()}"
            # What is waited for needs the processor as well.
            time.sleep(max(0.2, time.monotonic() - looked))
            looked = time.monotonic()
        return time.monotonic() - began

    def reboot(self) -> None:
        """Pull the plug, and boot again."""
        subprocess.run(["podman", "kill", self.name], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["podman", "wait", self.name], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["podman", "start", self.name], check=True, stdout=subprocess.DEVNULL)
        self.wait(
            lambda: self.run("systemctl is-system-running", check=False) in ("running", "degraded"),
            "it has booted",
            180,
        )

    def is_whole(self) -> bool:
        """Tell whether one leads, all others stream, and a write is acknowledged by two."""
        status = self.status()
        return bool(
            status.get("primary")
            and status["quorum_commit"]
            and status["phase"] == "stable"
            and all(node["streaming"] or node["role"] == "primary" for node in status["nodes"])
            and [node["role"] for node in status["nodes"]].count("primary") == 1
            and not any(node["fenced"] for node in status["nodes"])
        )

    def wait_until_whole(self, timeout: float = 240) -> float:
        """Wait until nothing is left to repair."""
        return self.wait(self.is_whole, "the database is whole", timeout)

    def wait_until_idle(self) -> None:
        """Wait until no unit starts, and so no backup, proof or rejoin takes a processor from what is measured."""
        starting = "systemctl list-units --no-legend --plain --type=service --state=activating"
        self.wait(lambda: not self.run(starting), "no unit starts", 300)


class Load:
    """Clients that write through the pool while something happens."""

    def __init__(self, machine: Machine, clients: int, period: float) -> None:
        """Have `clients` write once in each `period` seconds; 0 is as fast as they can."""
        self.machine, self.clients, self.period = machine, clients, period
        self.log = f"/tmp/load-{time.monotonic_ns()}.log"
        self.writes: list[Write] = []

    def __enter__(self) -> Self:
        """Begin, and wait for the first write."""
        with (HERE / "database_load.py").open() as script:
            subprocess.run(
                ["podman", "exec", "-i", self.machine.name, "sh", "-c", "cat > /tmp/database_load.py"],
                stdin=script,
                check=True,
            )
        subprocess.run(
            [
                "podman",
                "exec",
                "--detach",
                "--env",
                f"PGPASSWORD={self.machine.password}",
                self.machine.name,
                "python3",
                "/tmp/database_load.py",
                self.log,
                str(self.clients),
                str(self.period),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.machine.wait(self.acknowledged, "the load writes")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and read what was noted."""
        self.machine.run(
            f"touch {self.log.removesuffix('.log')}.stop;"
            f" while pgrep -f [d]atabase_load.py.{self.log} >/dev/null; do sleep 0.1; done"
        )
        self.writes = self.read()

    def read(self) -> list[Write]:
        """Return all writes that have ended."""
        rows = [line.split("\t") for line in self.machine.run(f"cat {self.log}", check=False).splitlines()]
        return [
            Write(float(row[0]), float(row[1]), row[2], int(row[3]), row[4] if len(row) > 4 else "")
            for row in rows
            if len(row) >= 4
        ]

    def acknowledged(self) -> list[Write]:
        """Return the writes that were acknowledged."""
        return [write for write in self.read() if write.port]

    def went_elsewhere(self, at: float, port: int) -> bool:
        """Tell whether a write that began after `at` was acknowledged by another instance than that at `port`."""
        return any(write.began > at and write.port != port for write in self.acknowledged())

    def failed(self) -> list[Write]:
        """Return the writes that ended in an error."""
        return [write for write in self.writes if not write.port]

    def lost(self) -> set[str]:
        """Return the acknowledged writes that the primary does not have."""
        kept = set(self.machine.on_primary("SELECT id FROM chaos").split())
        return {write.key for write in self.writes if write.port} - kept

    def outage(self, fault: float, old_port: int) -> float:
        """Return the seconds from a fault to the first write that another instance acknowledged."""
        return (
            min(write.ended for write in self.writes if write.port not in (0, old_port) and write.ended > fault) - fault
        )

    def longest_pause(self) -> float:
        """Return the longest time in which no write of all clients ended well."""
        ends = sorted(write.ended for write in self.writes if write.port)
        return max(later - earlier for earlier, later in itertools.pairwise(ends))
