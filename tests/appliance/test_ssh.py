"""SSH's settings lock nobody out: passwords end only where somebody has a key, and what others overrule is seen."""

import json
from argparse import Namespace

import pytest

from appliance.output import CRITICAL, OK, WARNING, RefusedError
from appliance.ssh import commands, keys, settings
from appliance.trial import session, subject
from appliance.trial.engine import Trials

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 me@office"
WANTED = "# Managed\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nHostKey /etc/ssh/key\n"
TOLD = {"permitrootlogin": "without-password", "passwordauthentication": "no", "port": "22"}


@pytest.fixture
def machine(tmp_path):
    """Return a machine with an account of a person, one of a service, and root's."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/shells").write_text("# shells\n/bin/sh\n/bin/bash\n")
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/bash\n"
        "postgres:x:100:100::/var/lib/postgresql:/usr/sbin/nologin\n"
        "mei:x:1000:1000:Mei:/home/mei:/bin/bash\n"
    )
    return tmp_path


def who(machine) -> list[str]:
    return keys.who(machine / "etc/passwd", machine / "etc/shells", machine)


@pytest.mark.parametrize(
    ("home", "content", "expected"),
    [
        ("home/mei", KEY, ["mei"]),
        ("root", f'from="203.0.113.0/24" {KEY}', ["root"]),
        ("root", f"sk-{KEY.replace('ed25519', 'ed25519@openssh.com')}", ["root"]),
        ("root", f"# {KEY}", []),
        ("root", "", []),
        ("root", f'no-pty,command="echo Please come as admin" {KEY}', []),
        ("var/lib/postgresql", KEY, []),
    ],
)
def test_who_could_log_in_by_a_key(machine, home, content, expected):
    file = machine / home / ".ssh/authorized_keys"
    file.parent.mkdir(parents=True)
    file.write_text(f"{content}\n")
    assert who(machine) == expected


def test_the_other_file_counts_too(machine):
    (machine / "root/.ssh").mkdir(parents=True)
    (machine / "root/.ssh/authorized_keys2").write_text(KEY)
    assert who(machine) == ["root"]


def test_what_another_file_overrules_is_seen():
    assert settings.differs(WANTED, TOLD) == []
    assert settings.differs(WANTED, TOLD | {"passwordauthentication": "yes"}) == ["passwordauthentication"]
    assert settings.differs(WANTED, {}) == ["passwordauthentication", "permitrootlogin"]


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Return the subject on a machine where nothing is confirmed yet, with settings that end passwords."""
    one = commands.Ssh()
    one.wanted, one.confirmed = tmp_path / "wanted", tmp_path / "confirmed"
    one.wanted.write_text(WANTED)
    monkeypatch.setattr(keys, "who", lambda: ["mei"])
    monkeypatch.setattr(settings, "effective", lambda: TOLD)
    return one


def line(act: str, *, here: bool = False) -> Namespace:
    return Namespace(act=act, json=True, seconds=60, here=here)


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path / "trials", lambda _: "")


def test_without_anybodys_key_passwords_do_not_end(ssh, trials, monkeypatch, capsys):
    monkeypatch.setattr(keys, "who", list)
    assert subject.run(line("apply"), ssh, trials) == WARNING
    assert "nobody has a key" in json.loads(capsys.readouterr().out)["refused"]
    assert not ssh.confirmed.exists()
    ssh.wanted.write_text(WANTED.replace("Authentication no", "Authentication yes"))
    assert subject.run(line("apply"), ssh, trials) == OK
    assert ssh.confirmed.exists()


def test_a_session_of_somebody_without_a_key_confirms_nothing_for_others(ssh, trials, monkeypatch):
    subject.run(line("apply"), ssh, trials)
    monkeypatch.setattr(session, "account", lambda: "root")
    with pytest.raises(RefusedError, match="root, who is logged in here, has no key"):
        ssh.admits_this_session()
    assert subject.run(line("confirm", here=True), ssh, trials) == WARNING
    monkeypatch.setattr(session, "account", lambda: "mei")
    assert subject.run(line("confirm", here=True), ssh, trials) == OK


@pytest.mark.parametrize(("passwords", "code"), [("no", OK), ("yes", WARNING)])
def test_passwords_are_a_warning(ssh, trials, monkeypatch, capsys, passwords, code):  # noqa: PLR0913, PLR0917
    ssh.confirmed.write_text(WANTED.replace("Authentication no", f"Authentication {passwords}"))
    monkeypatch.setattr(settings, "effective", lambda: TOLD | {"passwordauthentication": passwords})
    assert subject.run(line("status"), ssh, trials) == code
    assert bool(json.loads(capsys.readouterr().out)["warning"]) == (code == WARNING)


def test_what_sshd_does_not_take_back_is_no_success(ssh, monkeypatch, tmp_path, capsys):
    """The file says what it said before, and so does sshd -T, which reads it; the daemon works by the trial's."""
    fails: list[str] = []
    trials = Trials(tmp_path / "trials", lambda command: fails[0] if fails and command[0] == "sh" else "")
    former = WANTED.replace("Authentication no", "Authentication yes")
    ssh.confirmed.write_text(former)
    subject.run(line("apply"), ssh, trials)
    fails.append("/etc/ssh/sshd_config.d/other.conf: bad option")
    monkeypatch.setattr(settings, "effective", lambda: TOLD | {"passwordauthentication": "yes"})
    capsys.readouterr()
    for act in ("revert", "revert"):
        assert subject.run(line(act), ssh, trials) == CRITICAL
        assert "other.conf: bad option" in json.loads(capsys.readouterr().out)["failed"]
    assert ssh.confirmed.read_text() == former
    assert subject.run(line("status"), ssh, trials) == CRITICAL
    assert not json.loads(capsys.readouterr().out)["in_force"]
    ssh.wanted.write_text(former)
    assert subject.run(line("apply"), ssh, trials) == CRITICAL, "just that is what cannot be put in force"
    fails.clear()
    assert subject.run(line("apply"), ssh, trials) == OK
    assert subject.run(line("status"), ssh, trials) == WARNING, "passwords"
