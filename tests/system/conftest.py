"""The converged appliance, as its operator and as its clients reach it."""

import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import Machine

ROOT = Path(__file__).parents[2]


@dataclass
class Answer:
    """An HTTP answer: status, headers by small-letter name, body as text."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self):
        return json.loads(self.text)


class Appliance:
    """A container that stands in for the machine; reached by podman from inside, by HTTPS from outside."""

    def __init__(self, container: str, secrets: Path):
        self.container, self._secrets = container, secrets
        self.environment = os.environ | {
            "LUCKYGAS_CONTAINER": container,
            "LUCKYGAS_SECRETS": str(secrets),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }

    def run(
        self, command: str, *, stdin: str | None = None, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess:
        """Run a shell command as root inside; with `check`, a failure fails the test and shows its output."""
        done = subprocess.run(  # noqa: S603
            ["podman", "exec", "--interactive", self.container, "sh", "-c", command],  # noqa: S607
            input=stdin, capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    @property
    def address(self) -> str:
        template = "{{.NetworkSettings.IPAddress}}"
        command = ["podman", "inspect", "--format", template, self.container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    def request(
        self, method: str, path: str, body: object = None, *, host: str = "localhost", **headers: str
    ) -> Answer:
        """Send one HTTPS request from outside; header names with underscores for hyphens."""
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
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
        name = f"test-{time.time_ns()}"
        return self.run(f"luckygas-app key create --role {role} --tier {tier} --name {name}").stdout.strip()

    def secrets(self) -> dict[str, str]:
        """Return the secrets by their names, as the playbook's machine has them; of several in a file the first."""
        return {file.name: file.read_text().splitlines()[0] for file in self._secrets.iterdir()}

    def forget_secret(self, name: str) -> None:
        """Have the next run of the playbook make another one."""
        (self._secrets / name).unlink()

    def restart_machine(self) -> None:
        subprocess.run(["podman", "restart", "--time", "60", self.container], check=True, capture_output=True)  # noqa: S603, S607
        subprocess.run([ROOT / "sandbox/machine", "boot", self.container], check=True)  # noqa: S603

    def playbook(self, name: str, *options: str, until: str | None = None) -> "Play":
        """Run a shipped playbook; with `until`, kill it without mercy as soon as it prints that text."""
        command = ["ansible-playbook", "-i", "inventory", "-i", "sandbox/inventory", f"playbooks/{name}", *options]
        lines = []
        with subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=self.environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            for line in process.stdout:
                lines.append(line)
                if until and until in line:
                    os.killpg(process.pid, signal.SIGKILL)
        return Play(process.returncode, "".join(lines))


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


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> object:
    """Return the first true value of `condition`; fail with `what` was waited for when there is none in time."""
    deadline = time.monotonic() + seconds
    while (looked := time.monotonic()) < deadline:
        if value := condition():
            return value
        # What is waited for needs the processor as well.
        time.sleep(max(0.1, time.monotonic() - looked))
    return pytest.fail(f"waited {seconds} s in vain for {what}")


@pytest.fixture(scope="session")
def appliance() -> Appliance:
    """Return the appliance that `make system` converged."""
    container = os.environ["LUCKYGAS_CONTAINER"]
    return Appliance(container, Path(os.environ["LUCKYGAS_SECRETS"]))


@pytest.fixture(scope="session")
def machine() -> Machine:
    """Return the same appliance as those see it who break its database, with a table for their writes."""
    machine = Machine(os.environ["LUCKYGAS_CONTAINER"], Path(os.environ["LUCKYGAS_SECRETS"]))
    machine.wait_until_whole()
    machine.on_primary("CREATE TABLE IF NOT EXISTS chaos (id text PRIMARY KEY, at timestamptz DEFAULT now())")
    machine.on_primary("GRANT INSERT, SELECT ON chaos TO luckygas_app; TRUNCATE chaos")
    return machine


@pytest.fixture
def bare_machine(tmp_path):
    """Yield a machine on which nothing was installed yet."""
    machine = Appliance(f"{os.environ['LUCKYGAS_SANDBOX']}-bare", tmp_path / "secrets")
    script = ROOT / "sandbox/machine"
    subprocess.run([script, "create", machine.container], check=True)  # noqa: S603
    yield machine
    subprocess.run([script, "remove", machine.container], check=True)  # noqa: S603
