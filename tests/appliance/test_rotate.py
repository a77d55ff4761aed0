"""Other values for secrets: at every moment, and wherever it was killed, all that serves gets in."""

import base64
import contextlib
import hashlib
import json
import os
import re
from types import SimpleNamespace

import pytest

from appliance.cli import main
from appliance.output import CRITICAL, OK, WARNING
from appliance.redis import users
from appliance.rotate import commands, files, roles, secrets, state, steps
from appliance.rotate.secrets import SECRETS
from appliance.status import parts

ROLES = {one.role: one.name for one in SECRETS.values() if one.role}
REDIS = {"luckygas_app": "redis_password", "admin": "redis_admin_password", "replica": "redis_replica_password"}
MADE = [name for name, one in SECRETS.items() if not one.not_here]
ACTS = 12  # of `rotate --all` that others notice
PROCESSES = ("a", "b", "worker", "metrics")


class KilledError(BaseException):
    """The program was killed."""


class Redis:
    """A connection to a server that reads its users when it is told to, and takes any setting."""

    def __init__(self, world):
        self.world, self.settings = world, {}

    def __call__(self, *words):
        if words == ("ACL", "LOAD"):
            self.world.load_users()
        elif words[:2] == ("CONFIG", "SET"):
            self.settings[words[2]] = words[3]
        return self.world.redis

    def table(self, *words):
        return {words[2]: self.settings.get(words[2], "")}


class World:
    """A machine whose servers check passwords, and whose processes know what they were started with."""

    def __init__(self, directory, monkeypatch):
        self.place, self.credentials = directory / "secrets", directory / "credentials"
        self.managed, self.exporters = directory / "managed", directory / "exporters"
        for made in (self.place, self.credentials, self.managed, self.exporters / "redis"):
            made.mkdir(parents=True)
        self.redis_json, self.observers = directory / "redis.json", directory / "observers.txt"
        self.record, self.vpn_json = directory / "files.json", directory / "vpn.json"
        self.lives = -1  # after which number of acts it is killed; -1 is never
        self.acts, self.vpn_key, self.idle_keys, self.sealed = [], "", "", 0
        self.first = {name: name[0] * (SECRETS[name].length - 2) + f"{number:02}" for number, name in enumerate(MADE)}
        for name, value in self.first.items():
            (self.place / name).write_text(f"{value}\n")
            if SECRETS[name].handed:
                (self.credentials / name).write_text(value)
        self.lay()
        self.processes = {process: self.handed() for process in PROCESSES}
        self.exporter_knows = (self.exporters / "redis/passwords").read_text()
        self.patch(directory, monkeypatch)
        self.load_users()

    def lay(self):
        """Write the files that hold secrets, as the playbook does."""
        lines = [f"user {user} on #{files.digest(self.first[name])} +@all" for user, name in REDIS.items()]
        for suffix in ("wanted", "acl"):
            (self.managed / f"users.{suffix}").write_text("\n".join(lines) + "\n")
        (self.managed / "redis-a.conf").write_text(f"masterauth {self.first['redis_replica_password']}\n")
        self.redis_json.write_text(json.dumps({"password": self.first["redis_admin_password"]}))
        self.observers.write_text(f'"exporter" "{self.first["pool_exporter_password"]}"\n')
        self.vpn_json.write_text(json.dumps({"private_key": self.first["vpn_key"] + "A="}))
        (self.exporters / "redis/passwords").write_text(json.dumps({"x": self.first["redis_exporter_password"]}))
        self.database = {role: self.first[name] for role, name in ROLES.items()}
        self.record.write_text(json.dumps({str(self.observers): files.digest(self.observers.read_text())}))

    def patch(self, directory, monkeypatch):
        for module, name, value in (
            (secrets, "PLACE", self.place),
            (state, "FILE", directory / "rotation.json"),
            (files, "WRITTEN", self.record),
            (commands, "LOCK", directory / "lock"),
            (steps, "RELEASES", directory / "releases.lock"),
            (steps, "CREDENTIALS", self.credentials),
            (steps, "REDIS_FILES", (f"{self.managed}/*.wanted", f"{self.managed}/*.conf")),
            (steps, "REDIS_ADMIN_FILES", (str(self.redis_json),)),
            (steps, "POOL_FILES", (str(self.observers),)),
            (steps, "VPN_FILES", (str(self.vpn_json),)),
            (steps, "EXPORTERS", self.exporters),
            (steps, "renew_exporter", self.renew_exporter),
            (steps, "RedisCluster", lambda _: self.redis_cluster()),
            (steps.RedisSettings, "load", lambda: None),
            (steps.ReleaseSettings, "load", lambda: None),
            (steps.rolling, "put_in_force", lambda *_, **__: self.roll()),
            (steps.installed, "current", lambda: "1.0.0-abcd"),
            (steps.peers.Settings, "load", lambda: None),
            (steps.peers, "load", lambda: self.devices),
            (steps.vpn, "LOCK", directory / "vpn.lock"),
            (steps.vpn, "keep", lambda *_: self.put_vpn()),
            (steps.vpn, "is_vpn_only", lambda: self.is_vpn_only),
            (users, "FILES", [self.managed / "users.acl"]),
            (users, "write_file", lambda file, text, **_: file.write_text(text)),
            (os, "fsync", lambda _: None),  # thousands of them, and no crash of a machine is tried here
            (roles, "leader", lambda: "pg1"),
            (roles, "give", self.give),
            (roles, "reload_pool", lambda: self.act("reload")),
            (commands, "current", lambda: "1.0.0-abcd"),
            (commands, "tool", lambda *_: self.idle_keys),
            (commands, "keep", self.seal),
        ):
            monkeypatch.setattr(module, name, value)
        self.devices, self.is_vpn_only = [], False

    def act(self, *what):
        """Do something that others notice; everybody must get in after it."""
        if self.lives == 0:
            raise KilledError
        self.lives -= 1
        self.acts.append(what)
        self.check()

    def check(self):
        for knows in self.processes.values():
            assert self.database["luckygas_app"] in knows["database_password"].splitlines()
            assert files.digest(knows["redis_password"]) in self.redis["luckygas_app"]
            for other in self.processes.values():  # a key that one makes all others know
                assert other["api_key_pepper"].splitlines()[0] in knows["api_key_pepper"].splitlines()
        owner = (self.credentials / "database_owner_password").read_text().splitlines()
        assert self.database["luckygas_owner"] in owner
        assert files.digest(json.loads(self.redis_json.read_text())["password"]) in self.redis["admin"]
        replica = (self.managed / "redis-a.conf").read_text().split()[1]
        assert files.digest(replica) in self.redis["replica"]

    def handed(self):
        return {file.name: file.read_text() for file in self.credentials.iterdir()}

    def roll(self):
        for process in PROCESSES:
            self.processes[process] = self.handed()
            self.act("process", process)

    def give(self, passwords):
        self.database |= passwords
        self.act("roles", *passwords)

    def load_users(self):
        acl = users.by_user((self.managed / "users.acl").read_text())
        self.redis = {user: re.findall(r"#([0-9a-f]{64})", line) for user, line in acl.items()}
        self.act("redis")

    def redis_cluster(self):
        """Return a pair of which one server runs."""
        file = self.managed / "redis-a.conf"
        server = SimpleNamespace(kind="redis", unit="redis-server@a", managed=file, state=file)
        return SimpleNamespace(
            find_master=lambda: "a",
            settings=SimpleNamespace(servers=[server]),
            connect=lambda _: contextlib.nullcontext(Redis(self)),
        )

    def renew_exporter(self, place):
        self.exporter_knows = (place / "passwords").read_text()

    def put_vpn(self):
        self.vpn_key = json.loads(self.vpn_json.read_text())["private_key"]
        self.act("vpn")

    def seal(self):
        self.sealed += 1
        return ""

    def value(self, name):
        return (self.place / name).read_text().rstrip("\n")

    def is_over(self, *names):
        """Assert that of these secrets only the new values are known to anybody."""
        told = "".join(file.read_text() for file in self.place.parent.rglob("*") if file.is_file())
        told += json.dumps([self.processes, self.database, self.redis, self.exporter_knows, self.vpn_key])
        for name in names:
            old, new = self.first[name], self.value(name)
            assert new.splitlines()[0] != old
            assert len(new.splitlines()[0]) == len(old)
            has_former = name == "api_key_pepper" and "\n" in new
            assert (old in told) == has_former, name
            # But for the digest by which the playbook knows its own copy as a former one.
            assert told.count(files.digest(old)) == 1, name
            if SECRETS[name].handed:
                assert {process[name] for process in self.processes.values()} == {new}
            if SECRETS[name].role:
                assert self.database[SECRETS[name].role] == new


@pytest.fixture
def world(tmp_path, monkeypatch):
    before = os.umask(0o022)  # the command sets it, for its whole process
    yield World(tmp_path, monkeypatch)
    os.umask(before)


def answer(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", MADE)
def test_each_is_replaced_and_the_old_one_known_to_nobody(world, name, capsys):
    assert main(["rotate", name, "--yes", "--json"]) == OK
    assert answer(capsys) == {"replaced": [name]}
    world.is_over(name)
    assert [one for one in MADE if world.value(one) != world.first[one]] == [name]
    assert world.sealed == 1


def test_all_but_that_for_which_somebody_has_to_act(world):
    assert main(["rotate", "--all"]) == OK
    assert world.value("vpn_key") == world.first["vpn_key"]
    world.is_over(*(name for name in MADE if name != "vpn_key"))
    assert json.loads(world.vpn_json.read_text())["private_key"] == world.first["vpn_key"] + "A="


def test_the_key_of_the_vpn_needs_a_word_and_another_way_in(world, capsys):
    assert main(["rotate", "vpn_key"]) == WARNING
    assert "luckygas vpn show NAME" in capsys.readouterr().out
    world.devices, world.is_vpn_only = ["anna-laptop"], True
    assert main(["rotate", "--all", "--yes"]) == WARNING
    assert "SSH is open to the VPN alone" in capsys.readouterr().out
    assert world.acts == [("redis",)]
    world.is_vpn_only = False
    assert main(["rotate", "vpn_key", "--yes"]) == OK
    assert world.vpn_key == world.value("vpn_key") + "A="


@pytest.mark.parametrize("lives", range(ACTS))
def test_it_is_killed_anywhere_and_run_again(world, lives, capsys):
    names = [name for name in MADE if name != "vpn_key"]
    world.lives = lives
    with pytest.raises(KilledError):
        main(["rotate", "--all"])
    world.lives = -1
    world.check()
    half = {name: change.new for name, change in state.State.load().changes.items()}
    assert main(["rotate", "--list"]) == OK
    assert capsys.readouterr().out.count("(under way)") == len(names)
    found = parts.of_secrets(secrets.ages(), list(half), set())
    assert (found.severity, found.type) == (WARNING, "luckygas rotate --continue")
    assert main(["rotate", "--all"]) == OK
    assert {name: world.value(name) for name in names} == half  # gone on with, and not begun anew
    world.is_over(*names)
    capsys.readouterr()
    assert main(["rotate", "--continue", "--json"]) == OK
    assert answer(capsys) == {"replaced": []}


def test_it_takes_no_more_acts_than_those(world):
    assert main(["rotate", "--all"]) == OK
    assert len(world.acts) - 1 == ACTS


def test_what_interrupted_it_is_said_with_the_way_on(world, monkeypatch, capsys):
    monkeypatch.setattr(roles, "give", lambda _: (_ for _ in ()).throw(roles.FailedError("the roles keep them")))
    assert main(["rotate", "database_password"]) == CRITICAL
    assert "the roles keep them" in (said := capsys.readouterr().out)
    assert "luckygas rotate --continue" in said
    world.check()
    monkeypatch.setattr(roles, "give", world.give)
    assert main(["rotate", "--continue"]) == OK
    world.is_over("database_password")


def test_a_former_pepper_stays_until_no_key_needs_it(world, capsys):
    assert main(["rotate", "api_key_pepper", "--end"]) == WARNING
    assert "no former value" in capsys.readouterr().out
    assert main(["rotate", "api_key_pepper"]) == OK
    assert world.value("api_key_pepper").splitlines()[1] == world.first["api_key_pepper"]
    assert main(["rotate", "api_key_pepper"]) == WARNING
    assert "--end" in capsys.readouterr().out
    world.idle_keys = "abcd1234  usable    driver"
    assert main(["rotate", "api_key_pepper", "--end"]) == WARNING
    assert "abcd1234" in capsys.readouterr().out
    world.idle_keys = ""
    before = world.value("api_key_pepper").splitlines()[0]
    assert main(["rotate", "api_key_pepper", "--end"]) == OK
    assert world.value("api_key_pepper") == before
    told = "".join(str(process) for process in world.processes.values())
    assert world.first["api_key_pepper"] not in told
    assert len(state.State.load().formers["api_key_pepper"]) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["databse_password"], "there is no secret 'databse_password'"),
        (["backup_passphrase"], "docs/backups.md"),
        (["smtp_password"], "write what they gave you into .secrets/smtp_password"),
        (["redis_password", "--end"], "only api_key_pepper"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_changes(world, words, reason, capsys):
    assert main(["rotate", *words]) == WARNING
    assert reason in capsys.readouterr().out
    assert world.acts == [("redis",)]
    assert not state.FILE.exists()


def test_a_machine_that_is_not_as_its_answers_say_is_left_alone(world, capsys):
    (world.credentials / "redis_password").write_text("changed by the playbook, which was broken off")
    assert main(["rotate", "redis_password"]) == WARNING
    assert "run the playbook first" in capsys.readouterr().out
    (world.place / "redis_password").write_text("short\n")
    assert main(["rotate", "redis_password"]) == WARNING
    (world.place / "redis_password").unlink()
    assert main(["rotate", "redis_password"]) == WARNING
    assert world.acts == [("redis",)]


def test_a_file_keeps_its_mode_and_is_no_stranger_to_the_doctor(world):
    world.observers.chmod(0o640)
    assert main(["rotate", "pool_exporter_password"]) == OK
    assert world.observers.stat().st_mode & 0o777 == 0o640
    assert json.loads(world.record.read_text()) == {str(world.observers): files.digest(world.observers.read_text())}
    assert state.FILE.stat().st_mode & 0o777 == 0o600


def test_no_value_is_shown(world, capsys):
    assert main(["rotate", "--list"]) == OK
    assert main(["rotate", "--list", "--json"]) == OK
    assert main(["rotate", "--all"]) == OK
    said = capsys.readouterr()
    for name in MADE:
        assert world.first[name] not in said.out + said.err
        assert world.value(name).splitlines()[0] not in said.out + said.err


def test_what_postgresql_keeps_of_a_password_is_what_the_standard_says():
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")  # RFC 7677, section 3
    stored, server = roles.verifier("pencil", salt).split("$")[2].split(":")
    assert stored == "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    signature = hashlib.sha256(base64.b64decode(server)).hexdigest()
    assert signature == hashlib.sha256(base64.b64decode("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")).hexdigest()
    assert roles.verifier("pencil") != roles.verifier("pencil")


def test_an_old_secret_is_a_warning_with_what_to_type(world):
    found = parts.of_secrets({"redis_password": 366.0, "vpn_key": 3.0}, [], set())
    assert (found.severity, found.type) == (WARNING, "luckygas rotate redis_password")
    assert parts.of_secrets({"smtp_password": 400.0}, [], {"smtp_password"}).type == "luckygas rotate --list"
    assert parts.of_secrets(secrets.ages(), [], set()).severity == OK
    assert parts.of_secrets({}, [], set()).severity == OK
