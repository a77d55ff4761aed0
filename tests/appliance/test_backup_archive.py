"""Which WAL ought to be in the archive: along the timelines that lead to today, and no others."""

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup import archive
from appliance.backup.archive import Archive
from appliance.backup.lineage import Lineage, name, number
from appliance.backup.pgbackrest import Backup
from appliance.database.settings import Instance

FIRST = name("00000001", 3)
BACKUP = Backup(
    label="20261124-020000F",
    kind="full",
    began=100,
    ended=200,
    size=1000,
    stored=500,
    first_segment=FIRST,
    last_segment=FIRST,
    end="0/3000100",
    builds_on=(),
    broken_pages=False,
)


def segments(timeline: int, *places: int) -> frozenset[str]:
    return frozenset(name(f"{timeline:08X}", place) for place in places)


def held(lineage: Lineage, *parts: frozenset[str]) -> Archive:
    return Archive(dict.fromkeys(frozenset().union(*parts), ""), 0.0, lineage)


def test_places_and_names_agree_across_the_end_of_a_log():
    assert name("00000001", 255) == "0000000100000000000000FF"
    assert name("00000001", 256) == "000000010000000100000000"
    assert number("000000010000000100000000") == 256


def test_a_history_file_is_read():
    lineage = Lineage.read(
        "00000003", "1\t0/5000000\tno recovery target specified\n\n2\t0/9000A28\tbefore 2026-11-24\n"
    )
    assert lineage == Lineage("00000003", (("00000001", 0x5000000), ("00000002", 0x9000A28)))


@pytest.mark.parametrize(
    ("lineage", "parts", "missing"),
    [
        (Lineage(), [segments(1, 3, 4, 5)], []),
        (Lineage(), [segments(1, 3, 5)], [name("00000001", 4)]),
        (Lineage(), [segments(1, 4, 5)], [name("00000001", 3)]),
        # A failover in segment 6: what the old primary did not live to archive, 5, is missed at once.
        (Lineage("00000002", (("00000001", 0x6000100),)), [segments(1, 3, 4)], [name("00000001", 5)]),
        (Lineage("00000002", (("00000001", 0x6000100),)), [segments(1, 3, 4, 5), segments(2, 6, 7)], []),
        # A restore to a moment in segment 4: what came after it on the first timeline is nobody's any more.
        (Lineage("00000002", (("00000001", 0x4000100),)), [segments(1, 3, 7), segments(2, 4, 5)], []),
    ],
)
def test_what_is_missing(lineage, parts, missing):
    assert held(lineage, *parts).missing(FIRST) == missing


def test_a_backup_that_a_restore_left_behind_does_not_lead_to_today():
    today = held(Lineage("00000003", (("00000001", 0x4000000),)))
    assert today.leads_here(BACKUP)
    assert not today.leads_here(replace(BACKUP, end="0/5000000"))
    assert not today.leads_here(replace(BACKUP, last_segment=name("00000002", 3)))
    assert today.leads_here(replace(BACKUP, last_segment=name("00000003", 9), end="0/9000000"))


def test_a_repository_that_begins_after_a_change_of_leaders_misses_the_history_alone(tmp_path, primary):
    for segment in segments(3, 7, 8):
        file = tmp_path / "archive/luckygas/17-1" / segment[:16] / f"{segment}-{40 * 'a'}.zst"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = Archive.look(tmp_path)
    first = name("00000003", 7)
    assert found.leads_here(replace(BACKUP, first_segment=first, last_segment=first, end="0/7000100"))
    assert found.missing(first) == []
    assert found.unexplained == ["00000003.history"]
    done = lay(primary, "00000003.history", "done")
    assert archive.heal(primary, found.unexplained) == ["00000003.history"]
    assert done.with_suffix(".ready").exists()


@pytest.mark.parametrize(
    ("timeline", "histories", "unexplained"),
    [(1, [], []), (2, [2], []), (3, [2, 3], []), (3, [2], ["00000003.history"])],
)
def test_the_first_timeline_has_no_history(timeline, histories, unexplained):
    known = frozenset(f"{one:08X}" for one in histories)
    today = replace(held(Lineage(), segments(timeline, 3)), histories=known)
    assert today.unexplained == unexplained


@pytest.fixture
def primary(tmp_path, monkeypatch) -> Instance:
    monkeypatch.setattr(Instance, "data", property(lambda _: tmp_path))
    (tmp_path / "pg_wal/archive_status").mkdir(parents=True)
    return Instance("pg2", 5433, 2)


def lay(instance: Instance, segment: str, status: str) -> Path:
    (instance.data / "pg_wal" / segment).touch()
    file = instance.data / "pg_wal/archive_status" / f"{segment}.{status}"
    file.touch()
    return file


def test_a_new_primary_archives_what_its_predecessor_did_not(primary):
    gap, gone = name("00000001", 5), name("00000001", 4)
    done = lay(primary, gap, "done")
    assert archive.heal(primary, [gone, gap]) == [gap]
    assert done.with_suffix(".ready").exists()
    assert not done.exists()
    assert archive.heal(primary, [gone, gap]) == []
    assert archive.lost(primary, [gone, gap]) == [gone]
    assert archive.waiting(primary) == 1


def test_a_segment_that_was_left_before_its_end_is_archived_too(primary):
    last = name("00000001", 6)
    mark = lay(primary, last, "done")
    mark.unlink()
    assert archive.heal(primary, [last]) == [last]
    assert mark.with_suffix(".ready").exists()
    assert archive.heal(primary, [last]) == []


def test_many_segments_are_named_in_one_sentence():
    assert archive.named(["A", "B"]) == "A, B"
    assert archive.named(list("ABCDEFGH")) == "A, B, C, D, E and 3 more"
