"""Backups of the converged appliance: what is restored is what was acknowledged, and what is damaged is found."""

import json
import time
from datetime import UTC, datetime

import pytest
from database import Database, DatabaseLoad
from machine import wait_until

REPOSITORY = "/var/lib/pgbackrest"
ARCHIVE = f"{REPOSITORY}/archive/luckygas/17-1"
METRICS = "/var/lib/prometheus/node-exporter/luckygas_backup.prom"


def backups(machine: Database) -> dict:
    return json.loads(machine.run("luckygas backups --json", check=False))


def labels(machine: Database) -> list[str]:
    return [backup["label"] for backup in backups(machine)["backups"]]


def metric(machine: Database, series: str) -> float:
    return float(machine.run(f"grep -F '{series} ' {METRICS}").split()[-1])


def begin_again(machine: Database) -> None:
    """Let the watch believe that the last attempt was long ago."""
    machine.run(r"sed -Ei 's/(\"(backup|proof)\": )[0-9.]+/\11/' /var/lib/luckygas/backup/state.json")
    machine.run("luckygas backup watch")


def keys(machine: Database) -> set[str]:
    return set(machine.on_primary("SELECT id FROM chaos").split())


def wait_until_replayed(machine: Database) -> None:
    """Wait until every standby shows all that was written until now: what is dumped, is dumped from one."""
    place = machine.on_primary("SELECT pg_current_wal_lsn()")
    shown = f"SELECT bool_and(replay_lsn >= '{place}') FROM pg_stat_replication"
    wait_until(lambda: machine.on_primary(shown) == "t", "the standbys to show it")


@pytest.fixture(autouse=True)
def whole(machine: Database):
    machine.wait_until_whole()
    machine.wait_until_idle()  # while the machine takes a backup, or proves one, a second one is refused
    yield
    machine.wait_until_whole()


@pytest.fixture(scope="module", autouse=True)
def tidy(machine: Database):
    """Leave a good backup behind: those that were damaged did not pass their proofs, and the doctor knows."""
    yield
    machine.wait_until_idle()
    machine.run("luckygas backup --full && luckygas backup prove && luckygas restore-discard old --yes-i-mean luckygas")


def test_a_backup_is_taken_from_a_standby_and_proven(machine: Database) -> None:
    before, began = labels(machine), time.time()
    machine.run("luckygas backup --full")
    machine.on_primary("CREATE TABLE born (id int); INSERT INTO born SELECT generate_series(1, 1000)")
    said = machine.run("luckygas backup prove")  # also of what came in this moment
    machine.on_primary("DROP TABLE born")
    newest = backups(machine)["backups"][-1]
    assert newest["label"] not in before
    assert (newest["kind"], newest["verdict"]) == ("full", "good")
    assert "rows in" in said
    assert metric(machine, 'luckygas_backup_proof_good{repository="local"}') == 1
    assert metric(machine, 'luckygas_backup_proof_timestamp_seconds{repository="local"}') > began
    assert machine.run("ls /var/lib/postgresql/scratch") == ""
    print(f"\nproven in {newest['restore_seconds']} s, {newest['behind_seconds']} s behind")


def test_back_to_just_before_rows_were_destroyed(machine: Database) -> None:
    """Every write that was acknowledged until then is there and none after; clients wait, and everything goes on."""
    with DatabaseLoad(machine, 4, 0.1) as before:
        time.sleep(2)  # the load has to have written something, on both sides of the moment
        moment = time.time()
        time.sleep(1)
        machine.on_primary("DELETE FROM chaos WHERE random() < 0.5")
    to = datetime.fromtimestamp(moment, UTC).isoformat(sep=" ")
    with DatabaseLoad(machine, 4, 0.1) as during:
        said = machine.run(f"luckygas restore --to '{to}' --into production --yes-i-mean luckygas")
        machine.wait_until_whole()
        resumed = time.time()
        wait_until(lambda: any(write.began > resumed for write in during.acknowledged()), "clients to write again")
    has = keys(machine)
    assert {write.key for write in before.writes if write.port and write.ended <= moment} <= has
    assert not {write.key for write in before.writes if write.began > moment} & has
    assert {write.key for write in during.writes if write.port and write.began > resumed} <= has
    wait_until(lambda: machine.health() == "ok", "the service to be well")
    assert machine.status()["primary"]
    machine.run("luckygas backup && luckygas backup prove")
    print(
        f"\n{said.splitlines()[-2]}; clients paused for {during.longest_pause():.1f} s, {len(during.failed())} failed"
    )


def test_one_table_comes_back_beside_the_present_one(machine: Database) -> None:
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 1000) n")
    at = datetime.now(UTC).isoformat(sep=" ")
    machine.on_primary("DELETE FROM chaos")
    said = machine.run(f"luckygas restore-table chaos --to '{at}'")
    copy = said.split(" as ")[-1].split()[0]
    assert machine.on_primary(f"SELECT count(*) FROM {copy}") == "1000"
    assert machine.on_primary("SELECT count(*) FROM chaos") == "0"
    machine.on_primary("DROP SCHEMA restored CASCADE")


def test_the_machine_has_to_be_named(machine: Database) -> None:
    leader, epoch = machine.primary(), machine.status()["epoch"]
    refused = machine.run("luckygas restore --latest --into production --yes-i-mean other; echo exit $?")
    assert "nothing was changed" in refused
    assert refused.endswith("exit 1")
    assert (machine.primary(), machine.status()["epoch"]) == (leader, epoch)


BUNDLE = f"ls -S $(ls -d {REPOSITORY}/backup/luckygas/*F | tail -1)/bundle/* | head -1"
LAST_SEGMENT = f"ls -d {ARCHIVE}/*/*-*.zst | tail -1"
# What breaks the file is told its name.
FLIP = "printf '\\377\\0\\377\\0' | dd of={0} bs=1 seek=$(($(stat -c %s {0}) / 2)) conv=notrunc status=none"


@pytest.mark.parametrize(
    ("damage", "file", "complaint"),
    [
        (FLIP, BUNDLE, "is NOT good: ["),
        (FLIP, LAST_SEGMENT, " is damaged: "),
        ("rm {0}", LAST_SEGMENT.replace("tail -1", "tail -2 | head -1"), "WAL is missing from the archive: 0000"),
    ],
    ids=["bytes of a backup", "bytes of WAL", "segment of WAL"],
)
def test_a_damaged_backup_does_not_pass(machine: Database, damage: str, file: str, complaint: str) -> None:
    machine.run("luckygas backup --full")
    for _ in range(2):  # something must come after what is damaged
        machine.on_primary("INSERT INTO chaos (id) VALUES (random())")
        machine.on_primary("SELECT pg_switch_wal()")
    wait_until(lambda: backups(machine)["archive"]["waiting_segments"] == 0, "all to be archived")
    path = machine.run(file)
    try:
        # Every minute it looks for gaps, and would close this one.
        machine.run("systemctl stop luckygas-backup-watch.timer luckygas-backup-watch.service")
        machine.run(f"cp -p {path} /tmp/intact; {damage.format(path)}")
        said = machine.run("luckygas backup prove; echo exit $?")
        found = backups(machine)
    finally:
        machine.run(f"mv /tmp/intact {path}; systemctl start luckygas-backup-watch.timer")
    assert complaint in said
    assert said.endswith("exit 2")
    assert any("did not pass its proof" in problem for problem in found["problems"])
    assert metric(machine, 'luckygas_backup_proof_good{repository="local"}') == 0
