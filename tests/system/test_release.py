"""A release, a rollback, and whatever a web instance may die of: no client notices, and no customer is made twice.

The releases are this checkout's service with one thing changed. Each is built, checked and brought into force on the
machine by the same command that an operator types. Clients of every kind are busy from the first test to the last one.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from machine import ROOT, wait_until
from release_clients import Clients, percentile

REQUESTS = int(os.environ.get("LUCKYGAS_REQUESTS", "100000"))
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


def command(appliance, words: str) -> tuple[int, dict]:
    """Run a verb; returns its exit code and what it said."""
    done = appliance.attempt(f"luckygas {words} --json", timeout=400)
    return done.returncode, json.loads(done.stdout)


def served(appliance) -> list[str]:
    """Return which release each instance says it is; nothing for one that does not answer."""
    ask = "curl -s --unix-socket /run/luckygas-web-{}/app.sock http://x/healthz"
    answers = [appliance.run(ask.format(one), check=False) for one in "ab"]
    return [json.loads(answer)["release"] if answer else "" for answer in answers]


@pytest.fixture(scope="module")
def clients(appliance):
    """Return the clients, who are busy until the last test looks at what became of their requests."""
    # Both are in the image's cache.
    appliance.run("apt-get install -qq --no-install-recommends python3-pycurl >/dev/null")
    clients = Clients(appliance, [appliance.new_key() for _ in range(4)])
    clients.begin()
    clients.steady()
    yield clients
    clients.end()


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
        appliance.put(wheel, "/tmp/tested.whl")
        return "/tmp/tested.whl"

    return make


@pytest.fixture
def revision(machine):
    """Return how to ask for the newest migration in force; afterwards the schema is as before."""

    def ask() -> str:
        return machine.on_primary("SELECT version_num FROM alembic_version")

    before = ask()
    yield ask
    machine.on_primary("ALTER TABLE customers DROP COLUMN IF EXISTS release_test")
    machine.on_primary(f"UPDATE alembic_version SET version_num = '{before}'")


@pytest.fixture
def old(appliance):
    """Return the release that serves, and that serves again at the end."""
    name = command(appliance, "releases")[1]["current"]
    yield name
    command(appliance, f"rollback --to {name}")


def test_nobody_notices_a_release_or_its_rollback(appliance, clients, build, revision, old):
    expanding = MIGRATION.format(head=revision(), change=EXPANDS)
    wheel = build("migrations/versions/9001_next.py", lambda _: expanding)
    with clients.during("a release"):
        status, told = command(appliance, f"release {wheel}")
        assert status == 0, told
        new = told["release"]
        assert any("9001" in change for change in told["changed"])
        assert served(appliance) == [new, new]
    with clients.during("a rollback"):
        assert command(appliance, "rollback")[1]["release"] == old
        assert served(appliance) == [old, old]
    found = command(appliance, "releases")[1]
    assert (found["current"], found["previous"], found["problems"]) == (old, new, [])


@pytest.mark.long
def test_the_playbooks_do_the_same_and_leave_alone_what_the_operator_decided(appliance, clients, build, old):
    status, told = command(appliance, f"release {build('version.py', lambda text: text + 'CHANGED = True')}")
    assert status == 0, told
    with clients.during("a rollback by its playbook"):
        play = appliance.playbook("rollback.yml")
        assert (play.status, served(appliance)) == (0, [old, old]), play.output
    with clients.during("a rollback to what was rolled back"):
        assert command(appliance, f"rollback --to {told['release']}")[0] == 0
    assert appliance.playbook("site.yml", "--tags", "luckygas").changed == 0
    assert old not in served(appliance)
    with clients.during("a release by its playbook"):
        play = appliance.playbook("deploy.yml", "-e", "release_options=--without-backup")
        assert (play.status, served(appliance)) == (0, [old, old]), play.output


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            ("wsgi.py", lambda text: f"{text}\nimport luckygas.missing\n", "luckygas.missing"),
            id="it cannot be imported",
        ),
        # The gate waits for 45 s, and what had been given to one instance is taken back.
        pytest.param(
            ("ops/health.py", lambda text: text.replace(RED, RED_ON_B), "luckygas-web@b"),
            id="one instance is not well",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_release_that_fails_costs_no_request(appliance, clients, build, old, fault):
    file, change, word = fault
    wheel = build(file, change)
    with clients.during(f"a release that fails: {word}"):
        status, told = command(appliance, f"release {wheel}")
    assert status == 2, told
    assert word in told["failed"]
    assert served(appliance) == [old, old]
    found = command(appliance, "releases")[1]
    assert found["current"] == old
    assert [problem for problem in found["problems"] if "did not come into force" not in problem] == []


def test_a_migration_that_fails_touches_nothing(appliance, clients, build, revision, old):
    head = revision()
    broken = MIGRATION.format(head=head, change='op.execute("SELECT 1 / 0")')
    wheel = build("migrations/versions/9001_next.py", lambda _: broken)
    with clients.during("a release that fails: its migration"):
        status, told = command(appliance, f"release {wheel}")
    assert status == 1, told
    assert "division by zero" in told["refused"]
    assert command(appliance, "releases")[1]["current"] == old
    assert revision() == head


MASTER = "$(systemctl show --value --property=MainPID luckygas-web@{}.service)"


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("an instance is restarted", "systemctl restart luckygas-web@{}.service"),
        ("a worker is killed", f"for worker in $(pgrep -P {MASTER}); do kill -9 $worker; sleep 0.2; done"),
        ("a master is killed", f"kill -9 {MASTER}"),
        ("nginx is reloaded", "systemctl reload nginx.service"),
    ],
)
def test_nobody_notices_what_an_instance_dies_of(appliance, clients, old, what, fault):
    def is_well():
        problems = command(appliance, "releases")[1]["problems"]
        return served(appliance) == [old, old] and not any("does not run" in problem for problem in problems)

    with clients.during(what):
        for instance in "ab":
            appliance.run(fault.format(instance))
            wait_until(is_well, "both instances to be well", 60)


def test_of_all_requests_none_failed_and_none_was_done_twice(machine, clients):
    clients.steady()
    with clients.during("nothing"):
        wait_until(lambda: clients.count() >= REQUESTS, f"{REQUESTS} requests", 3600)
    lines = clients.end()
    clients.report()
    assert [line for line in lines if line[5] not in ("200", "201")] == []
    made = [line[4] for line in lines if line[3] == "POST"]
    found = machine.on_primary(f"SELECT name FROM customers WHERE name LIKE '{clients.made}%'").splitlines()
    assert sorted(found) == sorted(made)


@pytest.mark.long
def test_none_waited_much_longer_while_something_happened(clients):
    clients.end()
    steady, change = (
        percentile(clients.waits(phase for phase in clients.phases if (phase.what == "nothing") == calm), 99)
        for calm in (True, False)
    )
    assert change <= 2 * steady
