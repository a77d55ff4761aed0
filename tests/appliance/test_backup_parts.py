"""The smaller decisions of the backups: which kind, what goes, what is begun again, what an operator reads."""

import argparse
import contextlib
import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.backup import (
    adoption,
    commands,
    copying,
    listing,
    metrics,
    pgbackrest,
    places,
    proof,
    record,
    restore,
    table,
    taking,
    watch,
)
from appliance.backup.archive import Archive, ArchiveError
from appliance.backup.bucket import BucketError
from appliance.backup.lineage import Lineage, name
from appliance.backup.pgbackrest import DIFFERENTIAL, FULL, Backup
from appliance.backup.record import BACKUP, PROOF, Proof, Record
from appliance.output import CRITICAL, OK, WARNING, RefusedError
from appliance.system import BusyError

DAY = 86400
MB = 1 << 20


def backup(number: int, kind: str = FULL, *, ended: float = 0, stored: int = 10, on: tuple[str, ...] = ()) -> Backup:
    segment = name("00000001", number)
    return Backup(
        label=f"b{number}",
        kind=kind,
        began=int(ended),
        ended=int(ended),
        size=1000,
        stored=stored,
        first_segment=segment,
        last_segment=segment,
        end=f"0/{number}000100",
        builds_on=on,
        broken_pages=False,
    )


def view(backups: list[Backup], *, arrived: float | None = 0, missing: list[str] | None = None, **told) -> watch.View:
    archive = Archive({}, arrived, Lineage())
    return watch.View(backups, archive, missing or [], 0, Record(**told))


def test_what_was_lost_before_the_newest_backup_is_no_gap_on_the_way_to_today(monkeypatch):
    backups = [backup(2), backup(5)]
    held = {name("00000001", place): "" for place in (2, 4, 5, 7)}
    monkeypatch.setattr(watch.Archive, "look", lambda: Archive(held, 0, Lineage()))
    monkeypatch.setattr(pgbackrest, "info", lambda: backups)
    monkeypatch.setattr(Record, "load", Record)
    seen = watch.look(None)
    assert (seen.forgone, seen.missing) == ([name("00000001", 3)], [name("00000001", 6)])


def test_what_was_lost_before_the_newest_backup_is_said_and_not_grave():
    seen = watch.View([backup(1)], Archive({}, 0, Lineage()), [], 0, Record(), ["A"])
    found = listing.report(seen, 9)
    assert found.severity == WARNING
    assert any("WAL of before b1 is lost: A" in problem for problem in found.problems)


@pytest.mark.parametrize(("made", "fits"), [(99, False), (100, True), (2**31, True), (2**32 - 5, False)])
def test_a_table_that_the_copy_lacks_is_excused_only_when_it_was_made_later(monkeypatch, made, fits):
    held = Archive({}, 0, Lineage())
    examination = proof.Examination(None, Path(), held, backup(1), object(), (), None, print, next=100)
    monkeypatch.setattr(examination, "count_copy", dict)
    monkeypatch.setattr(proof.postgres, "query", lambda *_, **__: [[str(made)]])
    live = {"luckygas: public.born": 1000}
    if fits:
        assert examination.compare(live, live) == 0
    else:
        with pytest.raises(proof.NotProvenError, match="None rows in the copy and 1000 to 1000"):
            examination.compare(live, live)


def test_a_full_backup_is_due_once_a_week():
    assert taking.kind_due([], 0) == FULL
    assert taking.kind_due([backup(1, ended=0)], 6 * DAY) == DIFFERENTIAL
    assert taking.kind_due([backup(1, ended=0), backup(2, DIFFERENTIAL, ended=6 * DAY)], 7 * DAY) == FULL


def test_nothing_builds_on_a_backup_that_did_not_pass_its_proof():
    backups = [backup(1, ended=0), backup(2, DIFFERENTIAL, ended=DAY, on=("b1",))]
    passed, failed = Proof("b2", 1, good=True), Proof("b2", 2, good=False)
    assert Record(proofs=[failed, passed]).refuted(backups) == set()
    refuted = Record(proofs=[passed, failed]).refuted(backups)
    assert refuted == {"b1", "b2"}
    assert taking.kind_due(backups, 2 * DAY, refuted) == FULL
    assert taking.kind_due([*backups, backup(3, ended=2 * DAY)], 3 * DAY, refuted) == DIFFERENTIAL


def test_what_does_not_fit_goes_oldest_first_and_the_newest_stays():
    backups = [backup(1, stored=50), backup(2, DIFFERENTIAL, stored=10, on=("b1",)), backup(3, stored=50), backup(4)]
    assert taking.too_many(backups, 120, 200) == []
    assert taking.too_many(backups, 120, 100) == ["b1"]
    assert taking.too_many(backups, 120, 1) == ["b1", "b3"]


def test_what_would_fill_the_disk_is_refused(tmp_path):
    with pytest.raises(taking.RoomError, match=r"the proof needs \d+ MB in .*, \d+ MB are free"):
        taking.require(tmp_path, 1 << 60, "the proof")


def test_the_room_that_a_backup_takes_is_known_from_the_last_one():
    backups = [backup(1, stored=100), backup(2, DIFFERENTIAL, stored=10)]
    assert taking.expected(DIFFERENTIAL, backups) == 12
    assert taking.expected(FULL, backups) == 120
    assert taking.expected(DIFFERENTIAL, backups[:1]) == 120


def test_work_that_was_broken_off_stays_wanted(tmp_path):
    with pytest.raises(FileNotFoundError, match="no disk"), record.work(BACKUP, 5, tmp_path):
        raise FileNotFoundError("no disk")
    remembered = Record.load(tmp_path)
    assert (remembered.wanted, remembered.failures) == ({BACKUP: 5}, {BACKUP: "no disk"})
    with record.work(BACKUP, 6, tmp_path):
        assert record.is_under_way(BACKUP, tmp_path)
    assert not record.is_under_way(BACKUP, tmp_path)
    remembered = Record.load(tmp_path)
    assert (remembered.wanted, remembered.failures) == ({}, {})


def test_the_same_work_is_not_done_twice_at_once(tmp_path):
    second = record.work(BACKUP, 1, tmp_path)
    with record.work(BACKUP, 0, tmp_path), pytest.raises(BusyError, match="another backup is under way"):
        second.__enter__()


def test_what_was_broken_off_is_begun_again_after_a_while():
    wanted = view([backup(1)], wanted={PROOF: 1000.0}, proofs=[Proof("b1", 1, good=True)])
    assert watch.due(wanted, 1100) == []
    assert watch.due(wanted, 1000 + watch.RETRY_SECONDS) == [PROOF]
    assert watch.due(view([]), 1e9) == [BACKUP]


def test_the_first_backup_of_a_machine_is_proven_at_once():
    assert watch.due(view([backup(1)]), 1e9) == [PROOF]
    assert watch.due(view([backup(1)], proofs=[Proof("d1", 1, good=True, repository="dump")]), 1e9) == [PROOF]
    assert watch.due(view([backup(1)], wanted={PROOF: 1000.0}), 1100) == [], "it is under way, or there was no room"
    assert watch.due(view([backup(1)], proofs=[Proof("b1", 1, good=False)]), 1e9) == []


def test_a_lost_segment_is_made_up_for_by_a_new_backup_which_is_not_begun_again_and_again():
    assert watch.due(view([backup(1)], missing=["A"]), 1e9, ["A"]) == [BACKUP]
    assert watch.due(view([backup(1)], missing=["A"], wanted={BACKUP: 1000.0}), 1100, ["A"]) == []


def test_a_list_without_a_backup_is_critical():
    found = listing.report(view([]), 0)
    assert found.severity == CRITICAL
    assert "luckygas backup" in found.problems[0]


def test_a_list_of_proven_backups():
    proof = Proof("b1", 60, good=True, seconds=4, behind_seconds=30)
    found = listing.report(view([backup(1)], proofs=[proof]), 100)
    assert (found.severity, found.problems) == (OK, [])
    assert json.loads(json.dumps(found.data))["backups"][0]["verdict"] == "good"
    assert "in 4 s, 30 s behind" in listing.human(found)
    assert "on this machine only" in listing.human(found)


@pytest.mark.parametrize(
    ("seen", "now", "severity", "problem"),
    [
        (view([backup(1)], arrived=990), 1000, WARNING, "no backup was proven yet"),
        (view([backup(1)], proofs=[Proof("b1", 0, good=True)]), 27 * 3600, CRITICAL, "the newest backup is of"),
        (view([backup(1)], proofs=[Proof("b1", 0, good=True)]), 27 * 3600, CRITICAL, "no backup was proven since"),
        (view([backup(1)], proofs=[Proof("b1", 0, good=False, why="a byte")]), 9, CRITICAL, "its proof: a byte"),
        (
            view(
                [backup(1)],
                proofs=[Proof("b1", 0, good=False, why="a byte"), Proof("d", 1, good=True, repository="dump")],
            ),
            9,
            CRITICAL,
            "its proof: a byte",
        ),
        (view([backup(1)], missing=["A"]), 9, CRITICAL, "WAL is missing from the archive: A"),
        (view([backup(1)]), 400, CRITICAL, "no WAL has arrived"),
        (view([backup(1)], failures={PROOF: "the disk is short"}), 9, WARNING, "proof: the disk is short"),
    ],
)
def test_a_list_says_what_is_wrong(seen, now, severity, problem):
    found = listing.report(seen, now)
    assert found.severity == severity
    assert any(problem in one for one in found.problems)


def test_metrics_have_one_value_for_each_series():
    seen = view([backup(1)], proofs=[Proof("b1", 60, good=True, seconds=4, behind_seconds=30)], failures={PROOF: "x"})
    lines = metrics.render(seen, 500, 10 << 30).splitlines()
    for line in (
        'luckygas_backup_failing{work="proof"} 1.0',
        'luckygas_backup_failing{work="backup"} 0.0',
        'luckygas_backup_proof_timestamp_seconds{repository="local"} 60.0',
        'luckygas_backup_restore_seconds{repository="local"} 4.0',
        "luckygas_backup_archive_waiting_segments 0.0",
    ):
        assert line in lines
    names = [line.split()[0] for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names))


def test_the_way_back_to_a_moment_begins_at_the_last_backup_before_it():
    past = [backup(1, ended=100), backup(2, ended=200)]
    target = restore.at(past, datetime.fromtimestamp(150.5, UTC), 1000)
    assert target.backup.label == "b1"
    assert "--target=1970-01-01 00:02:30.500000+00" in target.options


@pytest.mark.parametrize(("moment", "reason"), [(2000, "is yet to come"), (50, "the earliest moment")])
def test_there_is_no_way_to_some_moments(moment, reason):
    with pytest.raises(RefusedError, match=reason):
        restore.at([backup(1, ended=100)], datetime.fromtimestamp(moment, UTC), 1000)


def test_the_end_of_an_unknown_backup_is_refused():
    assert restore.at_the_end_of([backup(1)], "b1").options == pgbackrest.CONSISTENT
    with pytest.raises(RefusedError, match="there is no backup b9"):
        restore.at_the_end_of([backup(1)], "b9")


def test_two_directories_change_their_names_in_one_step(tmp_path):
    for each in ("restored", "data"):
        (tmp_path / each).mkdir()
        (tmp_path / each / each).touch()
    restore.exchange(tmp_path / "restored", tmp_path / "data")
    assert (tmp_path / "data/restored").exists()
    assert (tmp_path / "restored/data").exists()


def test_restored_data_takes_the_place_of_lost_data(tmp_path):
    (tmp_path / "restored").mkdir()
    restore.exchange(tmp_path / "restored", tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_lost_disk_held_is_made_again(tmp_path, monkeypatch):
    owners = []
    monkeypatch.setattr(places.shutil, "chown", lambda path, *owner: owners.append((path.name, *owner)))
    disk = tmp_path / "postgresql"
    assert places.standing(disk / "scratch") == tmp_path
    places.make(disk / "scratch", 0o700)
    places.make(disk / "scratch", 0o700)
    assert owners == [("postgresql", "postgres", "postgres"), ("scratch", "postgres", "postgres")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (disk, disk / "scratch")] == [0o755, 0o700]
    taking.require(disk / "data" / "pg1", 1, "a backup")


@pytest.fixture
def repositories(tmp_path, monkeypatch):
    """Return the repository of this machine, and one that was fetched; what each holds, the test says."""
    here, fetched = tmp_path / "pgbackrest", tmp_path / "fetched"
    held = {fetched: ["20260101-000000F"]}
    for module in (adoption, copying):
        monkeypatch.setattr(module, "REPOSITORY", here)
    monkeypatch.setattr(adoption, "KEPT_REPOSITORY", tmp_path / "before-")
    monkeypatch.setattr(copying, "systems", lambda _: {"1"})
    monkeypatch.setattr(
        pgbackrest, "info", lambda place=here: [SimpleNamespace(label=label) for label in held.get(place, [])]
    )
    for place in (here, fetched):
        (place / copying.ARCHIVE_INFO).parent.mkdir(parents=True)
        (place / copying.ARCHIVE_INFO).touch()
    (fetched / "fetched").touch()
    target = restore.Target(backup(1), pgbackrest.LATEST, "the newest", fetched)
    return SimpleNamespace(here=here, fetched=fetched, held=held, target=target)


def test_the_archive_goes_on_here_where_the_repository_knows_what_was_fetched(repositories):
    assert adoption.is_foreign(repositories.target), "it was begun anew"
    repositories.held[repositories.here] = ["20260101-000000F", "20260102-000000F"]
    assert not adoption.is_foreign(repositories.target)
    repositories.held[repositories.here] = []
    (repositories.here / "backup/luckygas/backup.history/2026").mkdir(parents=True)
    (repositories.here / "backup/luckygas/backup.history/2026/20260101-000000F.manifest.gz").touch()
    assert not adoption.is_foreign(repositories.target), "it let go of it"
    shutil.rmtree(repositories.here)
    assert adoption.is_foreign(repositories.target), "it was lost"


@pytest.mark.parametrize("is_there", [True, False])
def test_what_was_fetched_becomes_the_repository(repositories, tmp_path, monkeypatch, is_there):
    if not is_there:
        shutil.rmtree(repositories.here)
    monkeypatch.setattr(restore, "make", lambda *_: None)
    adoption.adopt(repositories.fetched, lambda _: None)
    assert (repositories.here / "fetched").exists()
    assert not repositories.fetched.exists()
    assert len(list(tmp_path.glob("before-*"))) == is_there


@pytest.mark.parametrize(("options", "is_refused"), [(pgbackrest.LATEST, True), (pgbackrest.CONSISTENT, False)])
def test_a_moment_of_the_past_needs_no_archive_that_goes_on(monkeypatch, options, is_refused):
    def stand_still(_: object) -> None:
        raise ArchiveError("segment 1 did not arrive")

    monkeypatch.setattr(restore.archive, "flush", stand_still)
    monkeypatch.setattr(restore.taking, "require", lambda *_: None)
    scratch = SimpleNamespace(restore=lambda *_: 0.0)
    target = restore.Target(backup(1), options, "a moment")
    with pytest.raises(ArchiveError) if is_refused else contextlib.nullcontext():
        restore.prepare(scratch, target, object(), lambda _: None)


def test_tables_by_name():
    assert table.parse("orders") == ("public", "orders")
    assert table.parse("ledger.lines") == ("ledger", "lines")
    with pytest.raises(RefusedError):
        table.parse("orders; DROP TABLE orders")


@pytest.mark.parametrize(
    ("source", "distant", "verdicts"),
    [
        ("local", None, ["local"]),
        ("s3", Proof("b1", 2, good=True, repository="s3"), ["s3"]),
        ("due", Proof("b1", 2, good=True, repository="s3"), ["local", "s3"]),
        ("due", BucketError("it is away"), ["local"]),
        ("due", taking.RoomError("the disk is short"), ["local"]),
    ],
)
def test_at_night_what_is_here_is_proven_whatever_becomes_of_the_bucket(
    monkeypatch, capsys, source, distant, verdicts
) -> None:
    remembered = Record(copied=["b1"])

    def prove(_primary: object, _databases: object, bucket: object, _say: object) -> Proof:
        if bucket is None:
            return Proof("b1", 1, good=True)
        if isinstance(distant, Exception):
            raise distant
        return distant

    monkeypatch.setattr(commands.proof, "prove", prove)
    monkeypatch.setattr(commands.record, "work", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(commands.record, "changing", lambda: contextlib.nullcontext(remembered))
    monkeypatch.setattr(commands.Record, "load", lambda: remembered)
    monkeypatch.setattr(commands.copying, "fetching", contextlib.nullcontext)
    monkeypatch.setattr(commands.copying, "open_bucket", lambda: "the bucket")
    monkeypatch.setattr(commands.metrics, "write", lambda _: None)
    monkeypatch.setattr(commands.watch, "look", lambda _: None)
    monkeypatch.setattr(commands.watch, "leader", lambda *_: None)
    cluster = SimpleNamespace(settings=SimpleNamespace(databases=("luckygas",)))
    assert commands.prove(argparse.Namespace(source=source), None, cluster) == OK
    assert [one.repository for one in remembered.proofs] == verdicts
    said = capsys.readouterr().out
    assert not isinstance(distant, Exception) or str(distant) in said
