"""A release, a rollback, and whatever a web instance may die of: no client notices, and no customer is made twice.

The releases are this checkout's service with one thing changed. Each is built, checked and brought into force on the
machine by the same command that an operator types.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

from conftest import ROOT, wait_until

PERIOD_SECONDS = 0.08
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = {head!r}


def upgrade() -> None:
    {change}
"""
EXPANDS = 'op.add_column("customers", sa.Column("release_test", sa.Text))'
RED = '"down" if reasons["database"] else'
RED_ON_B = '"down" if resources().settings.instance == "b" else'


class Clients:
    """Clients of every kind, busy while something happens; at the end none of their requests has failed."""

    def __init__(self, machine, keys):
        self.machine, self.keys = machine, keys
        self.log = f"/tmp/release-{time.monotonic_ns()}.log"

    def __enter__(self) -> Self:
        script = (ROOT / "tests/system/release_load.py").read_text()
        self.machine.run("cat >/tmp/release_load.py", stdin=script)
        self.machine.run("cat >/tmp/release_load.keys", stdin="\n".join(self.keys))
        command = f"python3 /tmp/release_load.py {self.log} {PERIOD_SECONDS} </tmp/release_load.keys"
        self.machine.run(f"nohup {command} >{self.log}.errors 2>&1 &")
        wait_until(lambda: len(self.read()) > 20, "the clients to be at work")
        return self

    def __exit__(self, problem, *_) -> None:
        self.machine.run(f"touch {self.log.removesuffix('.log')}.stop")
        script = f"[r]elease_load.py {self.log}"
        wait_until(lambda: not self.machine.run(f"pgrep -f '{script}'", check=False).stdout, "them to stop", 70)
        if problem is None:
            self.judge()

    def read(self) -> list[list[str]]:
        text = self.machine.run(f"cat {self.log}", check=False).stdout
        return [line.split("\t") for line in text.splitlines() if line.count("\t") == 6]

    def judge(self) -> None:
        lines = self.read()
        assert self.machine.run(f"cat {self.log}.errors").stdout == ""
        failed = [line for line in lines if line[5] not in ("200", "201")]
        seconds = sorted(float(line[1]) - float(line[0]) for line in lines)
        p99 = seconds[int(len(seconds) * 0.99)]
        print(f"\n{len(lines)} requests, {len(failed)} failed; p99 {p99:.2f} s, longest {seconds[-1]:.2f} s")
        assert failed == []
        made = [line[4] for line in lines if line[3] == "POST"]
        mine = f"SELECT name FROM customers WHERE name LIKE '{Path(self.log).name}-%'"
        assert sorted(on_primary(self.machine, mine)) == sorted(made)


def on_primary(appliance, statement: str) -> list[str]:
    state = json.loads(appliance.run("luckygas db status --json", check=False).stdout)
    port = next(node["port"] for node in state["nodes"] if node["name"] == state["primary"])
    return appliance.run(f'psql -XtAq -U postgres -p {port} -d luckygas -c "{statement}"').stdout.splitlines()


def command(appliance, words: str) -> tuple[int, dict]:
    """Run a verb; returns its exit code and what it said."""
    done = appliance.run(f"luckygas {words} --json", check=False, timeout=400)
    return done.returncode, json.loads(done.stdout)


def served(appliance) -> list[str]:
    """Return which release each instance says it is; nothing for one that does not answer."""
    ask = "curl -s --unix-socket /run/luckygas-web-{}/app.sock http://x/healthz"
    answers = [appliance.run(ask.format(one), check=False).stdout for one in "ab"]
    return [json.loads(answer)["release"] if answer else "" for answer in answers]


@pytest.fixture(scope="module")
def keys(appliance):
    appliance.run("apt-get install -qq --no-install-recommends curl python3-pycurl >/dev/null")
    create = "luckygas-app key create --role admin --tier enterprise --name release-{}"
    return [appliance.run(create.format(f"{time.time_ns()}")).stdout.strip() for _ in range(4)]


@pytest.fixture
def clients(appliance, keys):
    return Clients(appliance, keys)


@pytest.fixture
def build(appliance, tmp_path):
    """Return a function that makes a wheel of this checkout with a file changed, and brings it to the machine."""

    def make(file: str, change) -> str:
        source = tmp_path / "app"
        shutil.copytree(ROOT / "app", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "luckygas" / file
        before = path.read_text() if path.exists() else ""
        path.write_text(change(before))
        assert path.read_text() != before
        hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "dist"]
        subprocess.run(hatchling, cwd=source, check=True, capture_output=True)
        (wheel,) = (tmp_path / "dist").glob("*.whl")
        subprocess.run(["podman", "cp", wheel, f"{appliance.container}:/tmp/tested.whl"], check=True)
        return "/tmp/tested.whl"

    return make


@pytest.fixture
def head(appliance):
    """Return the newest migration; afterwards the schema is there again."""
    (revision,) = on_primary(appliance, "SELECT version_num FROM alembic_version")
    yield revision
    on_primary(appliance, "ALTER TABLE customers DROP COLUMN IF EXISTS release_test")
    on_primary(appliance, f"UPDATE alembic_version SET version_num = '{revision}'")


@pytest.fixture
def old(appliance):
    """Return the release that serves, and that serves again at the end."""
    name = command(appliance, "releases")[1]["current"]
    yield name
    command(appliance, f"rollback --to {name}")


def test_nobody_notices_a_release_or_its_rollback(appliance, clients, build, head, old):
    wheel = build("migrations/versions/9001_next.py", lambda _: MIGRATION.format(head=head, change=EXPANDS))
    with clients:
        status, told = command(appliance, f"release {wheel}")
        assert status == 0, told
        new = told["release"]
        assert any("9001" in change for change in told["changed"])
        assert served(appliance) == [new, new]
        assert command(appliance, "rollback")[1]["release"] == old
        assert served(appliance) == [old, old]
    found = command(appliance, "releases")[1]
    assert (found["current"], found["previous"], found["problems"]) == (old, new, [])
    # Both were the operator's decisions: the playbook leaves them alone.
    assert appliance.playbook("site.yml", "--tags", "luckygas").changed == 0
    assert command(appliance, "releases")[1]["current"] == old


@pytest.mark.parametrize(
    "fault",
    [
        ("wsgi.py", lambda text: f"{text}\nimport luckygas.missing\n", "luckygas.missing"),
        ("ops/health.py", lambda text: text.replace(RED, RED_ON_B), "luckygas-web@b"),
    ],
    ids=["it cannot be imported", "one instance is not well"],
)
def test_a_release_that_fails_costs_no_request(appliance, clients, build, old, fault):
    file, change, word = fault
    wheel = build(file, change)
    with clients:
        status, told = command(appliance, f"release {wheel}")
    assert status == 2, told
    assert word in told["failed"]
    assert served(appliance) == [old, old]
    found = command(appliance, "releases")[1]
    assert found["current"] == old
    assert [problem for problem in found["problems"] if "did not come into force" not in problem] == []


def test_a_migration_that_fails_touches_nothing(appliance, clients, build, head, old):
    broken = MIGRATION.format(head=head, change='op.execute("SELECT 1 / 0")')
    wheel = build("migrations/versions/9001_next.py", lambda _: broken)
    with clients:
        status, told = command(appliance, f"release {wheel}")
    assert status == 1, told
    assert "division by zero" in told["refused"]
    assert command(appliance, "releases")[1]["current"] == old
    assert on_primary(appliance, "SELECT version_num FROM alembic_version") == [head]


def test_nobody_notices_what_instances_die_of(appliance, clients, old):
    master = "systemctl show --value --property=MainPID luckygas-web@{}.service"
    faults = [
        "systemctl restart luckygas-web@{}.service",
        f"kill -9 $(pgrep -P $({master}) | head -n 1)",
        f"kill -9 $({master})",
        "systemctl reload nginx.service",
    ]

    def is_well():
        problems = command(appliance, "releases")[1]["problems"]
        return served(appliance) == [old, old] and not any("does not run" in problem for problem in problems)

    with clients:
        for fault in faults:
            for instance in "ab":
                appliance.run(fault.format(instance))
                wait_until(is_well, "both instances to be well", 60)
