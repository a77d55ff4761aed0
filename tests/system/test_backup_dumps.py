"""Dumps and the configuration: restored before they count, and of use when nothing else of the machine is left."""

import pytest
from database import Database
from test_backup import backups, metric, wait_until_replayed

SEALED = "/var/lib/luckygas/sealed"
# A check that reads another table is what a restore stumbles over: neither order nor search path are as they were.
UNRESTORABLE = (
    "CREATE TABLE lim AS SELECT 5 AS n",
    "CREATE FUNCTION fits(m int) RETURNS bool LANGUAGE sql AS 'SELECT m < (SELECT n FROM lim)'",
    "CREATE TABLE checked (m int CHECK (fits(m)))",
    "INSERT INTO checked VALUES (1)",
)


def dumps(machine: Database, kind: str) -> list[dict]:
    return [one for one in backups(machine)["dumps"] if one["kind"] == kind]


@pytest.fixture(autouse=True)
def whole(machine: Database):
    machine.wait_until_whole()
    machine.wait_until_idle()  # a dump of the machine's own would refuse ours


@pytest.fixture
def dump(machine: Database) -> dict:
    """Write a dump that holds a thousand rows, and lose the rows."""
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 1000) n")
    wait_until_replayed(machine)
    said = machine.run("luckygas backup dump")
    assert f"from {machine.primary()}" not in said, "a standby is there for that"
    machine.on_primary("DELETE FROM chaos")
    return dumps(machine, "dump")[-1]


def test_a_dump_is_restored_before_it_counts_and_brings_a_table_back(machine: Database, dump: dict) -> None:
    assert (dump["verdict"], dump["rows"] >= 1000) == ("good", True)
    assert metric(machine, 'luckygas_backup_proof_good{repository="dump"}') == 1
    assert not machine.run(f"grep -l row-1000 {dump['file']}", check=False)
    assert machine.run(f"stat -c %a:%U {dump['file']}") == "600:root"
    said = machine.run(f"luckygas restore-table chaos --set {dump['label']}")
    copy = said.split(" as ")[-1].split()[0]
    assert machine.on_primary(f"SELECT count(*) FROM {copy}") == "1000"
    machine.on_primary("DROP SCHEMA restored CASCADE")
    assert machine.run("ls /var/lib/postgresql/scratch") == ""
    print(f"\n{dump['rows']} rows, restored in {dump['restore_seconds']} s, {dump['stored_bytes'] >> 10} KB")


def test_a_dump_that_cannot_be_restored_does_not_count(machine: Database) -> None:
    before = machine.run(f"ls -A {SEALED}/*.dump.gpg", check=False)
    machine.on_primary("; ".join(UNRESTORABLE))
    try:
        wait_until_replayed(machine)
        said = machine.run("luckygas backup dump; echo exit $?")
        machine.run("luckygas backup watch")
        failing = metric(machine, 'luckygas_backup_failing{work="dump"}')
        problems = backups(machine)["problems"]
    finally:
        machine.on_primary("DROP TABLE checked, lim; DROP FUNCTION fits")
        wait_until_replayed(machine)
    assert 'relation "lim" does not exist' in said
    assert said.endswith("exit 1")
    assert failing == 1
    assert any("dump: " in problem for problem in problems)
    assert machine.run(f"ls -A {SEALED}/*.dump.gpg", check=False) == before
    machine.run("luckygas backup dump")
    assert metric(machine, 'luckygas_backup_failing{work="dump"}') == 0


def test_with_the_passphrase_and_gpg_alone_everything_else_comes_back(machine: Database) -> None:
    """As somebody would who has one file and what they noted: no program of ours, and no key of this machine's."""
    secrets = machine.secrets_place
    newest = dumps(machine, "config")[-1]["file"]
    opening = "HOME=/tmp gpg --batch --pinentry-mode loopback --passphrase-fd 0 --decrypt"
    machine.run("rm -rf /tmp/opened && mkdir -m 700 /tmp/opened")
    passphrase = (secrets / "backup_passphrase").read_text()
    machine.run(f"{opening} {newest} | tar -xzC /tmp/opened", stdin=passphrase)
    try:
        for secret in secrets.iterdir():
            assert machine.run(f"cat /tmp/opened/answers/.secrets/{secret.name}") == secret.read_text().strip()
        assert machine.run("cat /tmp/opened/version") == machine.run("cat /var/lib/luckygas/version")
        assert "site_domain" in machine.run("cat /tmp/opened/answers/inventory/group_vars/all/site.yml")
        assert machine.run("cmp /etc/luckygas/database.json /tmp/opened/etc/luckygas/database.json") == ""
    finally:
        machine.run("rm -rf /tmp/opened /tmp/.gnupg")


@pytest.mark.long
def test_the_playbooks_call_the_verbs(machine: Database, dump: dict) -> None:
    assert machine.playbook("backup.yml", "-e", "backup_options=--full").status == 0
    play = machine.playbook("restore.yml", "-e", f"restore_set={dump['label']}")
    assert play.status == 0, play.output
    where = "-h /run/luckygas-scratch-copy -U postgres luckygas"
    assert machine.run(f"psql -XAtqc 'SELECT count(*) FROM chaos' {where}") == "1000"
    machine.run("luckygas restore-discard scratch")
    refused = machine.playbook("restore.yml", "-e", "restore_machine=another")
    assert refused.status != 0
    assert "nothing was changed" in refused.output
