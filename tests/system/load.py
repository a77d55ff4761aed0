"""Clients that write while something happens, and note what became of every write."""

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from machine import Machine, wait_until

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Write:
    """One write of the load, and what became of it. Times in seconds since the epoch."""

    began: float
    ended: float
    key: str
    port: int
    """Of the instance that took it, or 0."""
    error: str


class Load:
    """A script that runs in the machine as a unit; it ends when a file is there beside its log."""

    def __init__(self, machine: Machine, script: str, python: str, *arguments: object) -> None:
        """Prepare a `script` of this directory, to be called with its log and `arguments`."""
        self._machine = machine
        self._script = HERE / script
        self._unit = f"{self._script.stem}-{time.monotonic_ns()}"
        self._log = f"/tmp/{self._unit}.log"
        self._command = [python, f"/tmp/{script}", self._log, *map(str, arguments)]
        self.writes: list[Write] = []

    def __enter__(self) -> Self:
        """Begin, and wait for the first write."""
        self._machine.put(self._script, f"/tmp/{self._script.name}")
        self._machine.run(f"systemd-run --quiet --collect --unit={self._unit} {' '.join(self._command)}")
        wait_until(self.acknowledged, "the load to write")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and read what was noted."""
        running = f"systemctl is-active --quiet {self._unit}"
        self._machine.run(f"touch {self._log.removesuffix('.log')}.stop; while {running}; do sleep 0.1; done")
        self.writes = self.read()

    def read(self) -> list[Write]:
        """Return all writes that have ended."""
        rows = [line.split("\t") for line in self._machine.run(f"cat {self._log}", check=False).split("\n")]
        return [Write(float(row[0]), float(row[1]), row[2], int(row[3]), row[4]) for row in rows if len(row) == 5]

    def acknowledged(self) -> list[Write]:
        """Return the writes that were acknowledged."""
        return [write for write in self.read() if write.port]

    def longest_pause(self) -> float:
        """Return the longest time in which no write ended well."""
        ends = sorted(write.ended for write in self.writes if write.port)
        return max(later - earlier for earlier, later in itertools.pairwise(ends))

    def not_in(self, kept: set[str]) -> set[str]:
        """Return the acknowledged writes that are not among what was kept."""
        return {write.key for write in self.writes if write.port} - kept
