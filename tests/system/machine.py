"""The machine under test: reached from inside, as root there, and from outside by HTTPS."""

import contextlib
import http.client
import itertools
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
# What podman gives to the commands that it runs in a container.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "xterm",
    "container": "podman",
}


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> object:
    """Return the first true value of `condition`; fail with `what` was waited for when there is none in time."""
    deadline = time.monotonic() + seconds
    while (looked := time.monotonic()) < deadline:
        if value := condition():
            return value
        # What is waited for needs the processor as well.
        time.sleep(max(0.2, time.monotonic() - looked))
    return pytest.fail(f"waited {seconds} s in vain for {what}")


def seconds_until(condition: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Return how long it took until a condition held; fail as `wait_until` does."""
    began = time.monotonic()
    wait_until(condition, what, seconds)
    return time.monotonic() - began


@dataclass
class Answer:
    """An HTTP answer: status, headers by small-letter name, body as text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self):
        return json.loads(self.text)


@dataclass
class Play:
    """What a run of a playbook came to."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        return int(re.search(r"^\S+ +: ok=\d+ +changed=(\d+)", self.output, re.MULTILINE).group(1))

    @property
    def changes(self) -> list[str]:
        """Return the names of the tasks and handlers that changed something, however talkative the run was."""
        said = re.findall(r"^(?:(?:TASK|RUNNING HANDLER) \[(.*)\] \**|(changed): .*)$", self.output, re.MULTILINE)
        return [task for (task, _), (_, changed) in itertools.pairwise(said) if task and changed]


@dataclass
class Machine:
    """A container that stands in for the VM, and the directory in which the playbook keeps its secrets."""

    container: str
    secrets_place: Path

    @contextlib.contextmanager
    def for_now(self) -> Iterator[Self]:
        """Create it, and remove it at the end."""
        self._sandbox("create")
        yield self
        self._sandbox("remove")

    def _sandbox(self, verb: str) -> None:
        subprocess.run([ROOT / "sandbox/machine", verb, self.container], check=True)

    def attempt(self, command: str, *, stdin: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess:
        """Run a shell command as root inside, whatever comes of it."""
        fed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            self._entered(command), **fed, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=timeout
        )

    def run(self, command: str, *, stdin: str | None = None, check: bool = True, timeout: float = 300) -> str:
        """Return what a shell command printed, without its last line ends; with `check`, it has to succeed."""
        done = self.attempt(command, stdin=stdin, timeout=timeout)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.rstrip("\n")

    def fetch(self, url: str, *options: str, stdin: str | None = None) -> str:
        """Return a page as the machine itself gets it; `options` are those of curl."""
        return self.run(shlex.join(["curl", "--silent", "--show-error", "--fail", *options, url]), stdin=stdin)

    def hurt(self, command: str) -> float:
        """Do harm and return when that began, in seconds since the epoch."""
        return float(self.run(f"date +%s.%N; {command}").splitlines()[0])

    def put(self, source: Path, target: str) -> None:
        """Copy a file into the machine."""
        with source.open("rb") as file:
            subprocess.run(self._entered(f"cat >{target}"), stdin=file, env=ENVIRONMENT, check=True)

    def get(self, source: str, target: Path) -> None:
        """Copy a file out of the machine."""
        with target.open("wb") as file:
            subprocess.run(self._entered(f"cat {source}"), stdout=file, env=ENVIRONMENT, check=True)

    def _entered(self, command: str) -> list[str]:
        """Return what runs a command inside: thousands of them in a run, of which podman would take 0.15 s each."""
        return ["nsenter", f"--target={self._pid()}", "--all", "--root", "--wdns=/", "sh", "-c", command]

    def run_in_network(self, *arguments: str, place: Path, **environment: str) -> subprocess.Popen:
        """Run something in the network of the machine, with the Python and the packages of the tests."""
        # It ends with the tests, also when they are killed.
        entered = ["setpriv", "--pdeathsig=KILL", "nsenter", "--net", f"--target={self._pid()}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(
            [*entered, sys.executable, *arguments], cwd=place, env=os.environ | environment, **quiet
        )

    @property
    def address(self) -> str:
        """Return the address that it has since it was booted, or nothing when it is off."""
        told = self.attempt("ip -4 -brief address show eth0").stdout.split()  # eth0@if7 UP 10.88.0.5/16
        return told[2].split("/")[0] if len(told) > 2 else ""

    @cached_property
    def _pid_file(self) -> Path:
        asked = ["podman", "inspect", "--format", "{{.PidFile}}", self.container]
        return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())

    def _pid(self) -> str:
        """Return the host's number of the process that is 1 in the machine; 0, which nobody has, when it is off."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = self._pid_file.read_text()
            # A number that was given anew is some other process: what is run in a machine can do harm elsewhere.
            if f"\nNSpid:\t{pid}\t1\n" in Path(f"/proc/{pid}/status").read_text():
                return pid
        return "0"

    def request(
        self, method: str, path: str, body: object = None, *, host: str = "localhost", **headers: str
    ) -> Answer:
        """Send one HTTPS request from outside; header names with underscores for hyphens."""
        context = ssl._create_unverified_context()  # noqa: SLF001
        sent = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = "application/json"
        connecting = http.client.HTTPSConnection(self.address, 443, context=context, timeout=15)
        with contextlib.closing(connecting) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)

    def health(self) -> str:
        """Return the service's own word for how it is, or why nobody answers."""
        try:
            return self.request("GET", "/api/v1/health").json.get("status", "away")
        except (OSError, ValueError, http.client.HTTPException) as error:
            return str(error)

    def new_key(self, role: str = "admin", tier: str = "enterprise") -> str:
        return self.run(f"luckygas-app key create --role {role} --tier {tier} --name test-{time.time_ns()}")

    def secrets(self) -> dict[str, str]:
        """Return the secrets by their names, as the playbook's machine has them; of several in a file the first."""
        return {file.name: file.read_text().splitlines()[0] for file in self.secrets_place.iterdir()}

    def wait_until_idle(self) -> None:
        """Wait until no unit starts, and so no backup, proof or rejoin takes a processor from what is measured."""
        starting = "systemctl list-units --no-legend --plain --type=service --state=activating"
        wait_until(lambda: not self.run(starting), "no unit to start", 300)

    def restart(self) -> None:
        """Shut down in an orderly way, and boot again."""
        subprocess.run(["podman", "stop", "--time", "60", self.container], check=True, capture_output=True)
        self._sandbox("boot")

    def pull_the_plug(self) -> None:
        """Have all end at once, and boot again."""
        for verb in ("kill", "wait"):
            subprocess.run(["podman", verb, self.container], check=True, capture_output=True)
        self._sandbox("boot")

    def playbook(self, name: str, *options: str, until: str | None = None) -> Play:
        """Run a shipped playbook; with `until`, kill it without mercy as soon as it prints that text."""
        command = ["ansible-playbook", "-i", "inventory", "-i", "sandbox/inventory", f"playbooks/{name}", *options]
        environment = os.environ | {
            "LUCKYGAS_CONTAINER": self.container,
            "LUCKYGAS_SECRETS": str(self.secrets_place),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        lines = []
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            for line in process.stdout:
                lines.append(line)
                if until and until in line:
                    os.killpg(process.pid, signal.SIGKILL)
        return Play(process.returncode, "".join(lines))
