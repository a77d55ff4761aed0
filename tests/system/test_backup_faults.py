"""What goes wrong while backups are taken, archived and restored: nothing half-done counts, and it heals by itself."""

import json
import time

import pytest
from database import Database, DatabaseLoad
from machine import wait_until
from test_backup import ARCHIVE, METRICS, REPOSITORY, backups, begin_again, labels, metric

STATE = "/var/lib/luckygas/database/state.json"
WAIT_FOR_COPYING = "until pgrep -f 'pgbackrest.*--type=full.*backup$' >/dev/null; do sleep 0.02; done"


@pytest.fixture(autouse=True)
def whole(machine: Database):
    machine.wait_until_whole()
    machine.wait_until_idle()  # while the machine takes a backup, or proves one, a second one is refused
    yield
    machine.wait_until_whole(240)


@pytest.fixture
def large(machine: Database):
    """Let a backup take its time."""
    leader = machine.primary()
    machine.sql(leader, "CREATE TABLE bulk AS SELECT n, md5(n::text) AS text FROM generate_series(1, 2000000) n")
    yield
    machine.wait_until_whole(240)
    machine.on_primary("DROP TABLE bulk")


def test_a_failover_leaves_no_gap_in_the_archive(machine: Database) -> None:
    """The primary dies with WAL that it could not archive; its successor has received that, and archives it at once.

    At once, because after the next failover nobody may have it any more: the timer that looks for gaps is stopped.
    """
    old = machine.primary()
    machine.run("systemctl stop luckygas-backup-watch.timer luckygas-backup-watch.service")
    try:
        machine.sql(old, "ALTER SYSTEM SET archive_command = 'false'")
        machine.sql(old, "SELECT pg_reload_conf()")
        left = []
        with DatabaseLoad(machine, 2, 0.05) as load:
            for _ in range(3):
                machine.sql(old, "INSERT INTO chaos (id) VALUES (random())")
                left.append(machine.sql(old, "SELECT pg_walfile_name(pg_switch_wal())"))
            machine.run(f"kill -9 $(head -1 /var/lib/postgresql/17/{old}/postmaster.pid)")
            wait_until(lambda: machine.primary() not in (None, old), "another one to lead")
            names = " ".join(f"{ARCHIVE}/*/{segment}-*" for segment in left)
            wait_until(lambda: machine.run(f"ls {names} | wc -l", check=False) == str(len(left)), "all of them")
    finally:
        machine.run("systemctl start luckygas-backup-watch.timer")
    machine.wait_until_whole()
    wait_until(lambda: not backups(machine)["archive"]["missing"], "no gap to be left", 120)
    machine.wait_until_idle()
    assert "is proven" in machine.run("luckygas backup prove")
    assert not load.lost()


def test_a_lost_segment_is_made_up_for_by_a_new_backup(machine: Database) -> None:
    """As when the primary's files are gone before it has archived them: from there on nothing could be restored."""
    before, leader = labels(machine), machine.primary()
    segments = []
    for _ in range(2):  # something must come after the one that is lost
        machine.sql(leader, "INSERT INTO chaos (id) VALUES (random())")
        segments.append(machine.sql(leader, "SELECT pg_walfile_name(pg_switch_wal())"))
    wait_until(lambda: machine.run(f"ls {ARCHIVE}/*/{segments[1]}-*", check=False), "all to be archived")
    # A checkpoint may have taken the second one away already.
    machine.run(f"rm -f {ARCHIVE}/*/{segments[0]}-* /var/lib/postgresql/17/{leader}/pg_wal/{segments[0]}")
    machine.run("systemctl start luckygas-backup-watch.service")
    wait_until(lambda: labels(machine) != before, "a new backup", 240)
    assert not backups(machine)["archive"]["missing"]
    machine.wait_until_idle()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["primary", "backup", "machine"])
def test_a_backup_that_was_broken_off_is_taken_again(machine: Database, large: None, fault: str) -> None:
    before = labels(machine)
    old = machine.primary()
    unit = "systemd-run --quiet --unit=lg-test-backup luckygas backup --full"
    machine.run(f'{unit}; timeout 60 sh -c "{WAIT_FOR_COPYING}"')
    if fault == "primary":
        machine.run(f"kill -9 $(head -1 /var/lib/postgresql/17/{old}/postmaster.pid)")
    elif fault == "backup":
        machine.run("systemctl kill --signal=KILL lg-test-backup")
    else:
        machine.pull_the_plug()
    ended = "systemctl is-active lg-test-backup"
    wait_until(lambda: machine.run(ended, check=False) != "active", "it to end", 240)
    machine.run("systemctl reset-failed lg-test-backup; true")
    machine.wait_until_whole(240)
    assert labels(machine) == before
    assert json.loads(machine.run("cat /var/lib/luckygas/backup/state.json"))["wanted"]
    begin_again(machine)
    wait_until(lambda: len(labels(machine)) == len(before) + 1, "it to be taken again", 240)
    wait_until(lambda: backups(machine)["backups"][-1]["verdict"] == "good", "its proof", 240)


def test_without_room_nothing_is_begun_and_it_is_said(machine: Database) -> None:
    """The repository's disk is full: no backup, WAL waits; when there is room, all of it goes on by itself."""
    before = labels(machine)
    machine.run(
        f"size=$(($(du -sm {REPOSITORY} | cut -f1) + 20)); mkdir /tmp/full && mount -t tmpfs -o size=${{size}}M tmpfs"
        f" /tmp/full && cp -a {REPOSITORY}/. /tmp/full && mount --bind /tmp/full {REPOSITORY}"
    )
    try:
        machine.run(f"dd if=/dev/zero of={REPOSITORY}/filler bs=1M 2>/dev/null; true")
        said = machine.run("luckygas backup; echo exit $?")
        machine.on_primary("INSERT INTO chaos (id) VALUES (random())")
        machine.on_primary("SELECT pg_switch_wal()")
        wait_until(lambda: backups(machine)["archive"]["waiting_segments"], "WAL to wait")
        machine.run("luckygas backup watch")
        failing = metric(machine, 'luckygas_backup_failing{work="backup"}')
        waiting = metric(machine, "luckygas_backup_archive_waiting_segments")
        machine.run(f"rm {REPOSITORY}/filler")
        # PostgreSQL itself tries again once a minute.
        wait_until(lambda: not backups(machine)["archive"]["waiting_segments"], "WAL to be archived", 180)
    finally:
        # Whoever is just archiving is in it.
        machine.run(
            f"timeout 60 sh -c 'until umount {REPOSITORY} || ! mountpoint -q {REPOSITORY}; do sleep 0.1; done';"
            f" cp -a /tmp/full/archive {REPOSITORY}; umount /tmp/full; rmdir /tmp/full"
        )
    assert "MB are free" in said
    assert said.endswith("exit 1")
    assert (failing, waiting > 0) == (1, True)
    assert labels(machine) == before
    assert not backups(machine)["archive"]["missing"]
    begin_again(machine)
    wait_until(lambda: len(labels(machine)) == len(before) + 1, "the backup to be taken", 240)
    wait_until(lambda: backups(machine)["backups"][-1]["verdict"] == "good", "its proof", 240)


@pytest.mark.parametrize("seconds", [0.5, *(pytest.param(at, marks=pytest.mark.long) for at in (0.0, 1.0, 1.5))])
def test_a_restore_that_was_killed_ends_whole(machine: Database, seconds: float) -> None:
    """Killed after it began to take over: the old data leads, or the restored one, and never both."""
    machine.on_primary("INSERT INTO chaos (id) VALUES (random())")
    at = machine.run("date +'%F %T.%N%:z' | sed -E 's/([0-9]{6})[0-9]{3}/\\1/'")
    machine.on_primary("INSERT INTO chaos (id) VALUES ('after-' || random())")
    rows = int(machine.on_primary("SELECT count(*) FROM chaos"))
    begun = f"until grep -q failover {STATE}; do sleep 0.02; done"
    machine.run(
        f"luckygas restore --to '{at}' --into production --yes-i-mean luckygas >/tmp/restore.log 2>&1 & restore=$!;"
        f' timeout 240 sh -c "{begun}"; sleep {seconds}; kill -9 $restore',
    )
    machine.wait_until_whole(240)
    left = int(machine.on_primary("SELECT count(*) FROM chaos"))
    print(
        f"\nkilled {seconds} s after it began to take over: {'the old' if left == rows else 'the restored'} data leads"
    )
    assert left in (rows, rows - 1)
    machine.run("luckygas backup && luckygas backup prove; luckygas restore-discard old --yes-i-mean luckygas")


@pytest.mark.long
def test_all_data_directories_are_gone(machine: Database) -> None:
    """As docs/disaster-recovery.md says; what was archived is there again."""
    machine.run("luckygas backup --full")
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 100) n")
    machine.on_primary("SELECT pg_switch_wal()")
    wait_until(lambda: not backups(machine)["archive"]["waiting_segments"], "all to be archived")
    machine.run("pkill -KILL -x postgres; rm -rf /var/lib/postgresql || rm -rf /var/lib/postgresql")
    wait_until(
        lambda: "no instance takes writes" in machine.run("luckygas db status", check=False), "it to be told", 60
    )
    print(machine.run("luckygas restore --latest --into production --yes-i-mean luckygas"))
    machine.wait_until_whole(240)
    assert machine.on_primary("SELECT count(*) FROM chaos") == "100"
    wait_until(lambda: machine.health() == "ok", "the service to be well")
    machine.run("luckygas backup --full && luckygas backup prove")
    assert machine.playbook("site.yml").changed == 0


@pytest.mark.long
def test_an_idle_database_is_archived_within_a_minute(machine: Database) -> None:
    segment = machine.on_primary("INSERT INTO chaos (id) VALUES (random())")
    segment = machine.on_primary("SELECT pg_walfile_name(pg_current_wal_lsn())")
    began = time.monotonic()
    wait_until(
        lambda: machine.run(f"ls {REPOSITORY}/archive/luckygas/*/*/{segment}-*", check=False), "it to be archived", 75
    )
    print(f"\nthe archive was {time.monotonic() - began:.0f} s behind; see also {METRICS}")
