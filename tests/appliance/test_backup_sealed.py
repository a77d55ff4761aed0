"""Dumps and configurations: opened by gpg and the passphrase alone, refused when a byte is wrong, kept for a week."""

import io
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from backup_world import DAY, lay_dump, quiet

from appliance.backup import configuration, listing, metrics, restore_commands, sealed, watch
from appliance.backup.archive import Archive
from appliance.backup.lineage import Lineage, name
from appliance.backup.pgbackrest import Backup
from appliance.backup.record import Proof, Record
from appliance.backup.sealed import SealError
from appliance.backup.watch import View
from appliance.output import RefusedError

NOW = 1_800_000_000.0
FIRST = name("00000001", 1)
BACKUP = Backup("b1", "full", 0, int(NOW), 1, 1, FIRST, FIRST, "0/1", (), broken_pages=False)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    (tmp_path / "passphrase").write_text("correct horse\n")
    monkeypatch.setattr(sealed, "PASSPHRASE_FILE", tmp_path / "passphrase")
    monkeypatch.setattr(sealed, "STATE_DIRECTORY", tmp_path / "state")
    (tmp_path / "sealed").mkdir()
    return tmp_path / "sealed"


def opened(file: Path, passphrase: str) -> subprocess.CompletedProcess:
    """Open a file as README.md says, without anything of ours."""
    command = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", str(file)]
    home = {"HOME": str(file.parent), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, input=passphrase.encode(), capture_output=True, check=False, env=home)  # noqa: S603


def test_a_file_opens_with_gpg_and_the_passphrase_alone(place):
    sealed.seal(place / "one", ["echo", "the rows"])
    assert b"the rows" not in (place / "one").read_bytes()
    assert (place / "one").stat().st_mode & 0o777 == 0o600
    assert opened(place / "one", "correct horse").stdout == b"the rows\n"
    assert opened(place / "one", "wrong horse").returncode != 0


def test_a_changed_byte_and_a_lost_end_are_noticed(place):
    file = place / "one"
    sealed.seal(file, ["head", "-c", "100000", "/dev/zero"])
    whole = file.read_bytes()
    sealed.unseal(file, ["cmp", "-n", "100000", "-", "/dev/zero"])
    changed = whole[50000] ^ 1  # any byte may stand there: what replaces it has to be another
    for broken in (whole[:50000] + bytes([changed]) + whole[50001:], whole[:-1], whole[:200]):
        file.write_bytes(broken)
        with pytest.raises(SealError):
            sealed.unseal(file, ["cat"])


def test_a_command_that_fails_seals_nothing(place):
    with (
        pytest.raises(SealError, match="No such file"),
        sealed.sealing("dump", "luckygas", NOW, place) as one,
    ):
        sealed.seal(one.file, ["cat", "/nowhere"])
    assert list(place.iterdir()) == []


def test_a_file_has_its_name_when_it_was_tried_and_what_a_crash_left_goes(place):
    (place / ".luckygas-20260101-000000.dump.gpg.partial").touch()
    file = lay_dump(place, NOW)
    (found,) = sealed.held(place)
    assert (found.file, found.at, found.subject, found.kind) == (file, NOW, "luckygas", "dump")
    assert list(place.iterdir()) == [file]
    assert sealed.is_label(found.label)
    assert not sealed.is_label("20261124-020000F_20261125-020000D")


def test_the_configuration_brings_back_answers_and_secrets(place, tmp_path, monkeypatch):
    answers = tmp_path / "answers"
    (answers / ".secrets").mkdir(parents=True)
    (answers / ".secrets/database_password").write_text("hidden")
    monkeypatch.setattr(configuration, "ANSWERS", answers)
    monkeypatch.setattr(configuration, "ETC", tmp_path / "etc")
    monkeypatch.setattr(configuration, "sealing", lambda *words: sealed.sealing(*words, place))
    configuration.take(time.time())
    (found,) = sealed.held(place)
    with tarfile.open(fileobj=io.BytesIO(opened(found.file, "correct horse").stdout)) as tar:
        assert tar.extractfile("answers/.secrets/database_password").read() == b"hidden"


def test_ten_days_leave_the_last_seven(place):
    for day in range(10):
        lay_dump(place, NOW + day * DAY)
        lay_dump(place, NOW + day * DAY, "ledger")
        sealed.expire(NOW + day * DAY, quiet, place)
    for subject in ("luckygas", "ledger"):
        days = [(one.at - NOW) / DAY for one in sealed.held(place) if one.subject == subject]
        assert days == [3, 4, 5, 6, 7, 8, 9]


def test_the_newest_stays_however_old_and_large_it_is(place):
    said = []
    for day in range(3):
        lay_dump(place, NOW + day * DAY, content=b"x" * 1000)
    sealed.expire(NOW + 2 * DAY, said.append, place, limit=2500)
    assert len(sealed.held(place)) == 2
    assert "goes before its time" in said[0]
    sealed.expire(NOW + 100 * DAY, said.append, place, limit=1)
    assert [one.at for one in sealed.held(place)] == [NOW + 2 * DAY]


def test_a_dump_does_not_take_the_place_of_what_runs():
    arguments = restore_commands.argparse.Namespace(into="production", set="luckygas-20261124-023000")
    with pytest.raises(RefusedError, match="restore-table NAME --set luckygas-20261124-023000"):
        restore_commands.bring_back(arguments, None, None)


def test_the_list_shows_dumps_and_says_when_they_grow_old(place):
    file = lay_dump(place, NOW)
    label = file.name.removesuffix(".dump.gpg")
    proof = Proof(label, NOW + 60, good=True, seconds=4, rows=1000, repository="dump")
    record = Record(proofs=[proof], copied=[label])
    seen = View([BACKUP], Archive({}, NOW, Lineage()), [], 0, record, [], sealed.held(place))
    found = listing.report(seen, NOW + 100)
    (row,) = found.data["dumps"]
    assert (row["label"], row["kind"], row["verdict"], row["where"]) == (label, "dump", "good", ["local", "s3"])
    assert "in 4 s, 1000 rows" in listing.human(found)
    assert not any("dump" in problem for problem in found.problems)
    late = listing.report(seen, NOW + 27 * 3600)
    assert any(f"the newest dump is {label}" in problem for problem in late.problems)
    assert f'luckygas_backup_finished_timestamp_seconds{{kind="dump"}} {NOW!r}' in metrics.render(seen, 1, 1)


def test_a_machine_without_any_dump_says_so_after_a_day(place):
    seen = View([BACKUP], Archive({}, NOW, Lineage()), [], 0, Record())
    assert not any("dump" in problem for problem in listing.report(seen, NOW + 100).problems)
    assert any("luckygas backup dump" in problem for problem in listing.report(seen, NOW + 27 * 3600).problems)


def test_a_dump_that_was_broken_off_is_begun_again():
    seen = View(
        [BACKUP], Archive({}, NOW, Lineage()), [], 0, Record(wanted={"dump": NOW}, proofs=[Proof("b", NOW, good=True)])
    )
    assert watch.due(seen, NOW + watch.RETRY_SECONDS) == ["dump"]
