"""Clients of the API that are busy all the time while releases come and go, and what became of their requests."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine import ROOT, wait_until

RATE, CLIENTS = float(os.environ.get("LUCKYGAS_REQUESTS_A_SECOND", "60")), 16
STEADY_SECONDS = 10


@dataclass(frozen=True)
class Phase:
    """Something that happened while they were busy."""

    what: str
    began: float
    ended: float


class Clients:
    """Clients of every kind. Each of their requests is in the log of the machine."""

    def __init__(self, machine, keys: list[str]):
        self.machine, self.keys = machine, keys
        self.log = f"/tmp/release-{time.monotonic_ns()}.log"
        self.phases: list[Phase] = []
        self.lines: list[list[str]] | None = None

    def begin(self) -> None:
        self.machine.put(ROOT / "tests/system/release_load.py", "/tmp/release_load.py")
        self.machine.run("cat >/tmp/release_load.keys", stdin="\n".join(self.keys))
        command = f"python3 /tmp/release_load.py {self.log} {RATE} {CLIENTS} </tmp/release_load.keys"
        self.machine.run(f"nohup {command} >{self.log}.errors 2>&1 &")
        wait_until(lambda: self.count() > 50, "the clients to be at work")

    def count(self) -> int:
        return int(self.machine.run(f"wc -l <{self.log} || echo 0", check=False).split()[0])

    def failed(self) -> list[str]:
        """Return the lines of the requests that failed until now."""
        find = rf"grep -avP '\t20[01]\t$' {self.log} | head -n 20"
        return [line for line in self.machine.run(find, check=False).splitlines() if line.count("\t") == 6]

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Have something happen while they are busy; it costs none of their requests."""
        began = time.time()
        yield
        self.phases.append(Phase(what, began, time.time()))
        assert self.failed() == []

    def steady(self, seconds: float = STEADY_SECONDS) -> None:
        """Let nothing happen for a while, to have what to compare with."""
        with self.during("nothing"):
            end = time.time() + seconds
            wait_until(lambda: time.time() > end, "the time to pass", seconds + 10)

    def end(self) -> list[list[str]]:
        """Stop them, and return the line of each request; those that have ended already say the same once more."""
        if self.lines is not None:
            return self.lines
        self.machine.run(f"touch {self.log.removesuffix('.log')}.stop")
        script = f"[r]elease_load.py {self.log}"
        wait_until(lambda: not self.machine.run(f"pgrep -f '{script}'", check=False), "them to stop", 70)
        assert self.machine.run(f"cat {self.log}.errors") == ""
        self.lines = [line.split("\t") for line in self.machine.run(f"cat {self.log}").splitlines()]
        return self.lines

    def waits(self, phases: Iterable[Phase]) -> list[float]:
        """Return how many seconds the requests took that were due in these phases; shortest first."""
        spans = [(phase.began, phase.ended) for phase in phases]
        return sorted(
            float(line[1]) - float(line[0])
            for line in self.end()
            if any(began <= float(line[0]) <= ended for began, ended in spans)
        )

    def report(self) -> None:
        """Print what each phase was like."""
        lines = self.end()
        kinds = Counter((line[2], line[3]) for line in lines)
        print(f"\n{len(lines)} requests: {', '.join(f'{n} {method} {kind}' for (kind, method), n in kinds.items())}")
        for what in dict.fromkeys(phase.what for phase in self.phases):
            seconds = self.waits(phase for phase in self.phases if phase.what == what)
            if seconds:
                p50, p99, longest = (1000 * percentile(seconds, part) for part in (50, 99, 100))
                print(f"  {what:<44}{len(seconds):>7} requests, p50 {p50:.0f}, p99 {p99:.0f}, longest {longest:.0f} ms")

    @property
    def made(self) -> str:
        """Return how the names begin that they gave to customers."""
        return f"{Path(self.log).stem}-"


def percentile(ordered: list[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
