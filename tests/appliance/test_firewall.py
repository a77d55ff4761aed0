"""A trial leaves what was confirmed, whatever happens to it; and who may confirm it."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from appliance.firewall import commands, rules
from appliance.firewall.rules import Settings
from appliance.output import CRITICAL, OK, WARNING, FailedError, RefusedError
from appliance.trial import session, subject
from appliance.trial.engine import Trials

APPLY, UNDO = ["apply"], ["undo"]


class World:
    """A machine on which commands are noted, and some of them fail."""

    def __init__(self, directory: Path) -> None:
        self.file, self.other = directory / "rules", directory / "more"
        self.ran: list[str] = []
        self.has_timer = False
        self.fails: dict[str, str] = {}
        self.trials = Trials(directory / "trials", self.execute)
        self.file.write_text("confirmed")

    def execute(self, command) -> str:
        self.ran.append(command[0])
        if command[:2] == ["systemctl", "stop"]:
            self.has_timer = False
        if command[0] == "systemd-run":
            if self.has_timer:
                return "the unit was already loaded"
            self.has_timer = "systemd-run" not in self.fails
        return self.fails.get(command[0], "")

    def begin(self) -> None:
        files = {self.file: "tried", self.other: "new"}
        self.trials.begin("firewall", files, apply=APPLY, undo=UNDO, seconds=60)

    def is_as_before(self) -> bool:
        return self.file.read_text() == "confirmed" and not self.other.exists()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def new_connection(monkeypatch):
    monkeypatch.setattr(session, "connected_at", lambda: session.uptime() + 1)


def test_what_was_confirmed_stays(world, new_connection):
    world.begin()
    world.trials.confirm("firewall")
    assert (world.file.read_text(), world.other.read_text()) == ("tried", "new")
    assert world.ran == ["systemd-run", "apply", "systemctl"]
    assert not world.trials.revert("firewall", "late timer")
    assert world.file.read_text() == "tried"


def test_what_nobody_confirmed_is_taken_back_with_files_that_were_not_there(world):
    world.file.chmod(0o600)
    world.begin()
    assert world.trials.revert("firewall", "time is over")
    assert world.is_as_before()
    assert world.file.stat().st_mode & 0o777 == 0o600
    assert world.ran[-2:] == ["undo", "systemctl"]


def test_a_timer_that_cannot_be_set_changes_nothing(world):
    world.fails["systemd-run"] = "no bus"
    with pytest.raises(FailedError, match="no bus"):
        world.begin()
    assert world.is_as_before()
    assert "apply" not in world.ran
    assert world.trials.pending("firewall") is None


def test_what_cannot_be_put_in_force_is_taken_back_at_once(world):
    world.fails["apply"] = "syntax error"
    with pytest.raises(FailedError, match="syntax error"):
        world.begin()
    assert world.is_as_before()
    assert world.trials.pending("firewall") is None


def test_what_cannot_be_taken_back_stays_to_be_taken_back(world, new_connection):
    world.begin()
    world.fails["undo"] = "netlink: busy"
    with pytest.raises(FailedError, match=r"netlink: busy\. Mend that, then: luckygas firewall revert"):
        world.trials.revert("firewall", "time is over")
    assert world.is_as_before()
    assert world.ran[-1] == "undo", "its timer is left alone"
    with pytest.raises(RefusedError, match="luckygas firewall revert"):
        world.trials.confirm("firewall")
    world.fails.clear()
    assert world.trials.revert("firewall", "somebody asked for it")
    assert world.is_as_before()
    assert world.trials.pending("firewall") is None


def test_what_can_neither_be_put_in_force_nor_taken_back_is_not_said_to_be_as_before(world):
    world.fails = {"apply": "syntax error", "undo": "netlink: busy"}
    with pytest.raises(FailedError) as told:
        world.begin()
    assert "firewall: syntax error" in str(told.value)
    assert "cannot be put in force: netlink: busy" in str(told.value)
    assert "is again" not in str(told.value)
    assert world.is_as_before()
    assert world.trials.pending("firewall")


def test_what_cannot_be_taken_back_gives_way_to_another_trial(world):
    world.begin()
    world.fails["undo"] = "no such module"
    world.begin()
    assert world.file.read_text() == "tried"
    assert world.trials.pending("firewall").problem == ""
    world.fails.clear()
    assert world.trials.revert("firewall", "time is over")
    assert world.is_as_before()


def test_what_cannot_be_taken_back_stays_on_record_when_no_other_trial_can_begin(world):
    world.begin()
    world.fails |= {"undo": "no such module", "systemd-run": "no bus"}
    with pytest.raises(FailedError, match="no bus"):
        world.begin()
    assert world.trials.pending("firewall").problem == "no such module"


def test_a_restart_of_the_machine_brings_the_files_back_and_runs_nothing(world):
    world.begin()
    world.ran.clear()
    assert world.trials.recover() == ["firewall"]
    assert world.is_as_before()
    assert world.ran == []
    assert world.trials.recover() == []


def test_a_second_trial_begins_from_what_was_confirmed(world):
    world.begin()
    world.begin()
    world.trials.revert("firewall", "time is over")
    assert world.is_as_before()


@pytest.mark.parametrize("connected", [None, 0.0])
def test_an_old_session_confirms_nothing(world, monkeypatch, connected):
    monkeypatch.setattr(session, "connected_at", lambda: connected)
    monkeypatch.setattr(session, "is_console", lambda: False)
    world.begin()
    with pytest.raises(RefusedError, match="luckygas firewall confirm"):
        world.trials.confirm("firewall")
    assert world.trials.pending("firewall")


def test_the_console_confirms(world, monkeypatch):
    monkeypatch.setattr(session, "is_console", lambda: True)
    world.begin()
    world.trials.confirm("firewall")
    assert world.trials.pending("firewall") is None


def test_a_connection_is_as_old_as_the_process_that_serves_it(tmp_path):
    """The listener, far older, is an ancestor, too; a name may hold spaces and brackets."""
    for pid, name, parent, ticks in [(40, "a) (b", 30, 900), (30, "sshd-session", 20, 800), (20, "sshd", 1, 100)]:
        (tmp_path / str(pid)).mkdir()
        fields = ["S", parent, *[0] * 17, ticks]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(map(str, fields))}")
    found = [(name, round(began, 2)) for _, name, began in session.ancestry(40, tmp_path)]
    assert found == [("a) (b", 9.0), ("sshd-session", 8.0), ("sshd", 1.0)]


def told(tmp_path, **facts) -> Settings:
    facts = {"ssh": "admin-nets", "ssh_port": 22, "ssh_networks": ["203.0.113.0/24"], "unblockable": []} | facts
    file = tmp_path / "firewall.nft"
    file.write_text(f"# Managed\n{rules.MARK}{json.dumps(facts)}\ntable inet luckygas\n")
    return Settings.load(file)


def test_whom_the_rules_let_in_again(tmp_path):
    office = told(tmp_path)
    assert office.admits("203.0.113.9")
    assert not any(map(office.admits, ["203.0.114.9", "2001:db8::1", "UNKNOWN", None]))
    assert told(tmp_path, ssh="public", ssh_networks=list(rules.EVERYBODY)).admits(None)


def test_rules_for_another_port_than_that_of_the_session_are_refused(tmp_path, monkeypatch):
    everybody = told(tmp_path, ssh="public", ssh_networks=list(rules.EVERYBODY))
    monkeypatch.setattr(commands.Settings, "load", lambda: everybody)
    for known in (None, ("203.0.113.9", 22)):
        monkeypatch.setattr(session, "connection", lambda known=known: known)
        commands.Firewall().admits_this_session()
    monkeypatch.setattr(session, "connection", lambda: ("203.0.113.9", 2222))
    with pytest.raises(RefusedError, match="ansible_port: 2222"):
        commands.Firewall().admits_this_session()


@pytest.mark.parametrize(
    ("said", "known"),
    [("203.0.113.9 5000 192.0.2.1 2222", ("203.0.113.9", 2222)), ("UNKNOWN 65535 UNKNOWN 65535", None)],
)
def test_a_session_says_where_it_comes_from(said, known):
    ask = "from appliance.trial import session; print(session.connection())"
    environment = os.environ | {"SSH_CONNECTION": said, "PYTHONPATH": str(Path(session.__file__).parents[2])}
    asked = subprocess.run([sys.executable, "-c", ask], env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    assert asked.stdout.strip() == str(known)


@pytest.mark.parametrize(
    ("pending", "in_force", "code"), [(False, True, OK), (True, False, WARNING), (False, False, CRITICAL)]
)
def test_status_has_an_exit_code(world, monkeypatch, capsys, pending, in_force, code):  # noqa: PLR0913, PLR0917
    settings = told(world.file.parent)
    monkeypatch.setattr(commands.Settings, "load", lambda: settings)
    monkeypatch.setattr(rules, "is_in_force", lambda: in_force)
    if pending:
        world.begin()
    assert subject.run(commands_line("status"), commands.Firewall(), world.trials) == code
    shown = json.loads(capsys.readouterr().out)
    assert (shown["on_trial"], shown["in_force"]) == (pending, in_force)


def commands_line(act: str):

    return Namespace(act=act, json=True, seconds=60, here=False)
