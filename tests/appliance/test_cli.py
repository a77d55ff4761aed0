"""The `luckygas` command as a whole: which verbs there are, and that one loads nothing of the others."""

import argparse
import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import cli
from appliance.backup import commands as backup
from appliance.cli import VERBS
from appliance.output import CRITICAL, FailedError
from appliance.rotate import commands as rotate
from appliance.system import syslog
from appliance.trial import commands as trial


@pytest.mark.parametrize("module", dict.fromkeys(VERBS.values()))
def test_a_module_adds_the_verbs_that_it_is_loaded_for(module: str) -> None:
    verbs = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"appliance.{module}").add(verbs)
    assert set(verbs.choices) == {verb for verb, name in VERBS.items() if name == module}


def test_a_verb_loads_nothing_of_the_others() -> None:
    code = "import sys; from appliance.cli import main\ntry: main(['trial', '--help'])\nfinally: print(*sys.modules)"
    root = Path(cli.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = [name for name in done.stdout.split() if name.startswith("appliance.") and name.endswith(".commands")]
    assert loaded == ["appliance.trial.commands"]


@pytest.fixture
def journal(monkeypatch):
    """Return what is written to the journal meanwhile."""
    told: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *words: told.append(words[-1]))
    return told


def raising(*problems: BaseException):
    """Return what raises problems, each while the one before it is handled."""

    def act(*_: object, **__: object) -> None:
        first, *rest = problems
        try:
            raise first
        finally:
            if rest:
                raising(*rest)()

    return act


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(28, "No space left on device", "/var/x"), "OSError: [Errno 28] No space left on device: '/var/x'"),
        (ValueError("one\ntwo"), "ValueError: one two"),
        (KeyError("primary"), "KeyError: 'primary'"),
        (EOFError("EOF when reading a line"), "nobody can answer here; --help"),
        (KeyboardInterrupt(), "broken off by Ctrl-C"),
        (AttributeError("None has no name"), "AttributeError: None has no name"),
    ],
)
def test_what_nobody_foresaw_is_a_failure_in_a_sentence_and_all_of_it_in_the_journal(
    monkeypatch, capsys, journal, problem, said
):
    monkeypatch.setattr(trial, "Trials", raising(problem))
    assert cli.main(["trial", "recover"]) == CRITICAL
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert told.startswith("Failed: luckygas trial did not come to its end: ")
    assert said in told
    assert told.endswith("The whole of it: journalctl -t luckygas\n")
    assert "Traceback" in journal[-1]
    assert cli.main(["trial", "recover", "--json"]) == CRITICAL
    assert said in json.loads(capsys.readouterr().out)["failed"]


def test_a_verb_that_failed_with_a_sentence_keeps_it(monkeypatch, capsys, journal):
    monkeypatch.setattr(trial, "Trials", raising(FailedError("ssh: what was there before is not in force")))
    assert cli.main(["trial", "recover"]) == CRITICAL
    assert capsys.readouterr().out == "Failed: ssh: what was there before is not in force\n"
    assert journal == []


def test_what_a_full_disk_hides_is_said_too(monkeypatch, capsys, journal):
    room = backup.taking.RoomError("/var has no room for a backup: 3 GB are missing")
    monkeypatch.setattr(backup.Settings, "load", raising(room, OSError(28, "No space left on device")))
    assert cli.main(["backup"]) == CRITICAL
    told = capsys.readouterr().out
    assert "No space left on device, after RoomError: /var has no room for a backup: 3 GB are missing" in told
    assert "3 GB" in journal[-1]


@pytest.mark.usefixtures("journal")
def test_what_interrupts_a_rotation_says_the_way_on(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(rotate, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(rotate.os, "umask", lambda _: None)
    monkeypatch.setattr(rotate, "end_at_signals", lambda: None)
    monkeypatch.setattr(rotate, "rotate", raising(OSError(28, "No space left on device")))
    assert cli.main(["rotate", "--all"]) == CRITICAL
    told = capsys.readouterr().out
    assert "No space left on device. Old and new values are good; go on by: luckygas rotate --continue. The" in told
    assert "half done" not in told


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_backup_as_an_error_does(monkeypatch, capsys, number):
    former = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGHUP, signal.SIGTERM)}
    monkeypatch.setattr(backup.Settings, "load", lambda: signal.raise_signal(number))
    try:
        assert cli.main(["backups"]) == CRITICAL
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
    assert f"broken off by {number.name}" in capsys.readouterr().out
