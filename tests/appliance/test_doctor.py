"""The doctor: each check alone, faults that cannot be planted on a machine, and checks that fail themselves."""

import json
import os
import threading
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import pytest

from appliance.cli import main
from appliance.database.settings import Instance
from appliance.doctor import (
    commands,
    database,
    edge,
    examination,
    files,
    machine,
    packages,
    settings,
    tables,
    units,
    work,
)
from appliance.doctor.examination import Found, examine, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL, OK, WARNING
from appliance.status import commands as status
from appliance.status.check import Check

TOLD = {
    "timezone": "Asia/Taipei",
    "names": ["luckygas.tw"],
    "public_ports": [22, 80, 443],
    "owns_kernel": True,
    "ignored": [],
}
SETTINGS = Settings("Asia/Taipei", ("luckygas.tw", "localhost"), (22, 80, 443), True, ())  # noqa: FBT003


def found(one: examination.Examination, told: Settings = SETTINGS) -> str:
    """Return what an examination finds."""
    (check,) = one.run(told)
    return check.found if check.severity else ""


def answers(monkeypatch, module, output: str = "", code: int = 0, error: str = "") -> None:
    """Have every command that a module runs answer the same."""
    monkeypatch.setattr(module, "run", lambda *_, **__: CompletedProcess([], code, output, error))


@pytest.fixture
def world(monkeypatch, tmp_path) -> SimpleNamespace:
    """Let the doctor look at two checks of its own and one of the status."""
    file = tmp_path / "doctor.json"
    file.write_text(json.dumps(TOLD))
    load = Settings.load
    monkeypatch.setattr(settings.Settings, "load", lambda: load(file))
    monkeypatch.setattr(status, "PARTS", {"part": lambda: iter([Check("part.one", OK, "well")])})
    monkeypatch.setattr(status, "IDS", ("part.one",))
    wrong = examines("bad", why="it matters", what="repair {}", severity=CRITICAL)(lambda _: [Found("broken", "it")])
    monkeypatch.setattr(commands, "EXAMINATIONS", [examines("good", why="-", what="-")(lambda _: []), wrong])
    return SimpleNamespace(file=file)


def test_there_are_more_than_thirty_each_with_a_name_of_its_own():
    names = [one.id for one in commands.EXAMINATIONS]
    assert len(names) == len(set(names)) > 30
    assert not any(one.id in status.PARTS for one in commands.EXAMINATIONS)
    assert all(one.why and one.what for one in commands.EXAMINATIONS)


def test_what_is_wrong_is_told_with_its_reason_and_the_way_out(world, capsys):
    assert main(["doctor", "--json"]) == CRITICAL
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "critical"
    assert [(check["id"], check["state"]) for check in told["checks"]] == [
        ("part.one", "ok"),
        ("good", "ok"),
        ("bad", "critical"),
    ]
    assert told["checks"][2] | {"found": "broken", "why": "it matters", "type": "repair it"} == told["checks"][2]
    assert main(["doctor"]) == CRITICAL
    shown = capsys.readouterr().out
    assert "type: repair it" in shown
    assert "part.one" not in shown
    assert shown.splitlines()[-1] == "2 of 3 checks are well"


def test_what_the_operator_ignores_is_left_out_by_option_and_by_file(world, capsys):
    assert main(["doctor", "--ignore", "bad", "--ignore", "part.one"]) == OK
    assert capsys.readouterr().out == "1 of 1 checks are well; ignored: bad, part.one\n"
    world.file.write_text(json.dumps(TOLD | {"ignored": ["bad"]}))
    assert main(["doctor"]) == OK
    assert capsys.readouterr().out == "2 of 2 checks are well; ignored: bad\n"


@pytest.mark.parametrize(
    ("name", "hint"), [("part.on", "did you mean part.one?"), ("x", "for their names: luckygas doctor --json")]
)
def test_a_check_that_does_not_exist_cannot_be_ignored(world, capsys, name, hint):
    assert main(["doctor", "--ignore", "bad", "--ignore", name]) == WARNING
    assert capsys.readouterr().out == f"Refused: --ignore {name}: there is no such check; {hint}\n"
    world.file.write_text(json.dumps(TOLD | {"ignored": ["bad", name]}))
    assert main(["doctor"]) == WARNING
    assert f"appliance_ignored_checks has {name}: there is no such check; {hint}" in capsys.readouterr().out


def test_a_check_that_fails_or_hangs_is_a_warning_and_hides_no_other():
    forever = threading.Event()

    def hangs():
        forever.wait()
        return []

    def fails():
        raise OSError("gone")

    works = {"hangs": hangs, "fails": fails, "well": lambda: [Check("well", OK, "fine")]}
    checks = {check.id: check for check in examine(works, seconds=3)}
    forever.set()
    assert {name: check.severity for name, check in checks.items()} == {"hangs": WARNING, "fails": WARNING, "well": OK}
    assert "within 3 s" in checks["hangs"].found
    assert "gone" in checks["fails"].found


def test_of_many_findings_the_first_few_are_told():
    (check,) = examines("x", why="w", what="see {}")(lambda _: [Found(f"f{n}", f"s{n}") for n in range(8)]).run(
        SETTINGS
    )
    assert check.found == "f0; f1; f2; f3; f4; and 3 more"
    assert check.type == "see s0; see s1; see s2; see s3; see s4"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('LISTEN 0 128 127.0.0.1:9100 0.0.0.0:* users:(("x",pid=1,fd=3))', []),
        ("LISTEN 0 128 127.0.0.53%lo:53 0.0.0.0:*", []),
        ("LISTEN 0 128 [::1]:9100 [::]:*", []),
        ("LISTEN 0 128 [::]:443 [::]:*", []),
        ('LISTEN 0 128 0.0.0.0:5432 0.0.0.0:* users:(("postgres",pid=1,fd=3))', ["postgres listens on 0.0.0.0:5432"]),
        ("LISTEN 0 128 *:9090 *:*", ["a program listens on *:9090"]),
        ("LISTEN 0 128 [fe80::1]%eth0:6379 [::]:*", ["a program listens on [fe80::1]%eth0:6379"]),
    ],
)
def test_a_port_is_public_unless_it_is_on_loopback_or_meant_to_be(line, said):
    assert list(edge.outside([line], SETTINGS.public_ports)) == said


def test_a_name_without_an_address_is_found_and_localhost_needs_none(monkeypatch):
    answers(monkeypatch, edge, code=2)
    assert found(edge.names) == "luckygas.tw has no address"
    answers(monkeypatch, edge)
    assert found(edge.names) == ""


def test_the_clock_is_asked_for_where_it_is_the_machines_own(monkeypatch):
    answers(monkeypatch, machine, "no\n")
    assert found(machine.clock) == "the clock is not synchronised"
    assert found(machine.clock, Settings("", (), (), False, ())) == ""  # noqa: FBT003
    answers(monkeypatch, machine, "yes\n")
    assert found(machine.clock) == ""


def test_a_kernel_setting_is_compared_with_the_file(monkeypatch, tmp_path):
    file = tmp_path / "60.conf"
    now = Path("/proc/sys/vm/swappiness").read_text().strip()
    monkeypatch.setattr(machine, "KERNEL", file)
    file.write_text(f"# why\nvm.swappiness = {now}\n")
    assert found(machine.kernel) == ""
    file.write_text("vm.swappiness = 7777\n")
    assert found(machine.kernel) == f"vm.swappiness is {now} instead of 7777"


def test_a_file_system_without_inodes_or_that_is_read_only_is_found(monkeypatch):
    told = SimpleNamespace(f_files=1000, f_favail=50, f_flag=os.ST_RDONLY)
    monkeypatch.setattr(machine.os, "statvfs", lambda _: told)
    monkeypatch.setattr(machine, "DATA", ("/",))
    assert found(machine.inodes) == "/ has room for 50 files"
    assert found(machine.read_only) == "/ is read-only"
    told.f_favail, told.f_flag = 500, 0
    assert found(machine.inodes) == found(machine.read_only) == ""


def test_a_kernel_setting_that_may_not_be_read_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "sysctl.conf").write_text("net.core.bpf_jit_harden = 2\nvm.swappiness = 7777\n")
    monkeypatch.setattr(machine, "KERNEL", tmp_path / "sysctl.conf")
    read = Path.read_text

    def without_privileges(path: Path, *words: object, **said: object) -> str:
        if path.name == "bpf_jit_harden":
            raise PermissionError(1, "Operation not permitted")
        return read(path, *words, **said)

    monkeypatch.setattr(Path, "read_text", without_privileges)
    assert "vm.swappiness" in found(machine.kernel)


def test_what_the_kernel_ended_for_want_of_memory_is_told_once(monkeypatch):
    answers(monkeypatch, units, '{"UNIT": "nginx.service"}\n{"UNIT": "nginx.service"}\n{}\n')
    assert found(units.out_of_memory) == "a unit; nginx.service"


def test_an_index_of_packages_that_is_old_or_missing_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "LISTS", tmp_path)
    assert found(packages.index) == "Debian was never asked"
    (tmp_path / "x_InRelease").touch()
    assert found(packages.index) == ""
    monkeypatch.setattr(packages.time, "time", lambda: (tmp_path / "x_InRelease").stat().st_ctime + 10 * 86400)
    assert found(packages.index) == "Debian was asked 10 days ago"


def test_a_file_that_is_gone_is_not_changed(monkeypatch, tmp_path):
    record, file = tmp_path / "files.json", tmp_path / "file"
    monkeypatch.setattr(files, "WRITTEN", record)
    record.write_text(json.dumps({str(file): "0" * 64}))
    assert found(files.changed) == ""
    file.write_text("x")
    assert found(files.changed) == f"{file} was changed by hand"


@pytest.mark.parametrize(
    ("module", "name", "row", "said"),
    [
        (database, "transactions", ["7", "app", "", "idle", "900"], "app (unnamed, process 7) is idle since 900 s"),
        (database, "checksums", ["luckygas", "1"], "1 broken page in luckygas of pg1; pg1 has no checksums"),
        (work, "waiting", ["1", "61"], "waiting: 1 job, the oldest for 61 minutes"),
        (work, "waiting", ["2", "1"], "waiting: 2 jobs, the oldest for 1 minute"),
        (database, "locks", ["7", "8"], "process 8 waits for process 7"),
        (database, "wraparound", ["luckygas", "1900000000"], "luckygas is 1,900,000,000 transactions old"),
        (database, "wraparound", ["luckygas", "200000000"], ""),
        (database, "of_repmgr", ["pg1", "standby"], "repmgr holds pg1 for standby, it is a primary"),
        (database, "of_repmgr", ["pg1", "primary"], ""),
        (tables, "vacuum", ["t", "123456", "f"], "autovacuum is off; t of luckygas has 123,456 dead rows"),
    ],
)
def test_what_the_database_tells_is_judged(monkeypatch, module, name, row, said):
    one = Instance("pg1", 5432, 1)
    cluster = SimpleNamespace(
        instances={"pg1": one},
        settings=SimpleNamespace(databases=["luckygas"]),
        look=lambda: {"pg1": SimpleNamespace(answers=True)},
    )
    for place in (database, tables):
        monkeypatch.setattr(place, "cluster", lambda: cluster)
        monkeypatch.setattr(place, "primary", lambda: one)
    monkeypatch.setattr(database, "Store", lambda: SimpleNamespace(load=lambda: SimpleNamespace(primary="pg1")))
    monkeypatch.setattr(database.postgres, "query", lambda *_, **__: [row])
    assert found(getattr(module, name)) == said


@pytest.mark.parametrize(("maxwait", "said"), [("0", ""), ("9", "a client of luckygas has waited for 9 s")])
def test_clients_that_wait_for_the_pool_are_found(monkeypatch, maxwait, said):
    row = f"luckygas|app|4|1|0|0|0|0|0|0|2|0|0|{maxwait}|0|transaction|\n"
    monkeypatch.setattr(database, "cluster", lambda: SimpleNamespace(settings=None))
    monkeypatch.setattr(database.pool, "admin", lambda *_: CompletedProcess([], 0, row, ""))
    assert found(database.waits) == said
    monkeypatch.setattr(database.pool, "admin", lambda *_: CompletedProcess([], 2, "", "refused\n"))
    assert found(database.waits) == "it does not answer: refused"
