"""The copy in a bucket: an S3 over TLS that has outages, and the ways back from it."""

import base64
import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from database import Database, DatabaseLoad
from machine import Machine, seconds_until, wait_until
from test_backup import backups, labels, metric, wait_until_replayed

HERE = Path(__file__).parent
OUTAGE_SECONDS = float(os.environ.get("LUCKYGAS_OUTAGE_SECONDS", "600"))
AUTHORITY = "/usr/local/share/ca-certificates/lg-test-s3.crt"
TRUST = f"""
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout /tmp/s3.key -out {AUTHORITY} 2>/dev/null
update-ca-certificates >/dev/null 2>&1
"""
LEFT = "/etc/luckygas/s3.json /var/lib/luckygas/answers/.secrets/s3_*"
REMOVE = f"rm -f {AUTHORITY} /tmp/s3.key {LEFT}; update-ca-certificates --fresh >/dev/null 2>&1"
# Every five minutes it copies, and then refuses whoever would do so, too.
TIMER = "luckygas-backup-copy.timer"
ANSWERS = ("-e", "site_s3_endpoint=https://localhost:9000", "-e", "site_s3_bucket=backups")
# Each call asks the S3 itself, past the proxy.
ASK = """
import boto3, json, sys
s3 = boto3.client("s3", endpoint_url="https://localhost:9001", aws_access_key_id="k", aws_secret_access_key="s",
                  region_name="us-east-1", verify="/etc/ssl/certs/ca-certificates.crt")
def keys(): return [o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="backups") for o in p.get("Contents", [])]
print({})
"""  # noqa: E501


def ask(machine: Machine, expression: str) -> str:
    return machine.run("python3 -W ignore -", stdin=ASK.replace("{}", expression))


def copy(machine: Database) -> str:
    return machine.run("luckygas backup copy; echo exit $?")


class S3:
    """A real one, on the machine's loopback, and a proxy before it that has faults."""

    def __init__(self, machine: Machine, place: Path) -> None:
        self.place, self.machine = place, machine
        self.fault("pass")
        machine.run(TRUST)
        for file in (AUTHORITY, "/tmp/s3.key"):
            machine.get(file, place / Path(file).name)
        server = ("-m", "moto.server", "-H", "127.0.0.1", "-p", "9001", "-c", "lg-test-s3.crt", "-k", "s3.key")
        self.processes = [self.run(*server), self.run(str(HERE / "s3_proxy.py"), "9000", "9001", str(place))]
        for port in (9000, 9001):
            wait_until(lambda port=port: machine.run(f"ss -Hltn sport = :{port}"), "S3")

    def run(self, *arguments: str, beside: Machine | None = None) -> subprocess.Popen:
        """Run something beside the machine, or beside another one."""
        told = {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}
        return (beside or self.machine).run_in_network(*arguments, place=self.place, **told)

    def serve(self, other: Machine) -> None:
        """Be there for another machine, too, under the same name and with the same faults."""
        road = str(self.place / "road")
        other.put(self.place / Path(AUTHORITY).name, AUTHORITY)
        other.run("update-ca-certificates")
        self.processes.append(self.run(str(HERE / "s3_proxy.py"), road, "9001", str(self.place)))
        wait_until(Path(road).exists, "the road to S3")
        self.processes.append(self.run(str(HERE / "s3_proxy.py"), "9000", road, str(self.place), beside=other))

    def fault(self, mode: str) -> None:
        (self.place / "said").write_text(mode)
        (self.place / "said").replace(self.place / "mode")  # in one step: somebody may just be reading it

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module", autouse=True)
def s3(machine: Database, tmp_path_factory):
    with contextlib.ExitStack() as undo:
        for name in ("access", "secret"):
            key = machine.secrets_place / f"s3_{name}_key"
            key.write_text(f"the-{key.name}")
            undo.callback(key.unlink)
        undo.callback(machine.run, f"systemctl start {TIMER}")
        undo.callback(machine.run, REMOVE)
        server = S3(machine, tmp_path_factory.mktemp("s3"))
        undo.callback(server.stop)
        play = machine.playbook("site.yml", "--tags", "pgbackrest", *ANSWERS)
        assert play.status == 0, play.output
        machine.run(f"systemctl stop {TIMER}")
        yield server


@pytest.fixture(autouse=True)
def whole(machine: Database, s3: S3):
    machine.wait_until_whole()
    machine.wait_until_idle()  # no backup, proof or copy of the machine's own is under way, which would refuse ours
    yield
    s3.fault("pass")
    machine.run(f"systemctl stop {TIMER}")
    machine.wait_until_whole()


def test_a_missing_bucket_is_said_and_the_rest_goes_on(machine: Database) -> None:
    said = copy(machine)
    assert "there is no such bucket" in said
    assert said.endswith("exit 1")
    assert any("copy: https://localhost:9000" in problem for problem in backups(machine)["problems"])
    machine.run("luckygas backup watch")
    assert metric(machine, 'luckygas_backup_failing{work="copy"}') == 1
    ask(machine, "s3.create_bucket(Bucket='backups')")


@pytest.fixture(scope="module")
def copied(machine: Database) -> dict:
    """Take a backup and a dump to the bucket, and lose a table; returns the dump."""
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 100) n")
    wait_until_replayed(machine)
    machine.run("luckygas backup --full && luckygas backup dump --to-s3")
    machine.on_primary("DELETE FROM chaos")
    return [one for one in backups(machine)["dumps"] if one["kind"] == "dump"][-1]


def test_the_copy_is_proven(machine: Database, copied: dict) -> None:
    newest = backups(machine)["backups"][-1]
    assert newest["where"] == ["local", "s3"]
    info = "s3.head_object(Bucket='backups', Key='repository/backup/luckygas/backup.info')['ServerSideEncryption']"
    assert ask(machine, info) == "AES256"
    # A segment of WAL comes every minute, and may have come since.
    wait_until(lambda: "0 files copied, 0 removed" in copy(machine), "a copy that finds nothing new", 60)
    machine.on_primary("CREATE TABLE born (id int); INSERT INTO born SELECT generate_series(1, 1000)")
    said = machine.run("luckygas backup prove --from s3")
    machine.on_primary("DROP TABLE born")
    assert "(s3) is proven" in said, "what the bucket does not know yet is no fault of it"
    assert metric(machine, 'luckygas_backup_proof_good{repository="s3"}') == 1
    assert not machine.run("ls -d /var/lib/pgbackrest-fetched", check=False)


def test_a_dump_comes_back_from_the_bucket(machine: Database, copied: dict) -> None:
    assert all(one["where"] == ["local", "s3"] for one in backups(machine)["dumps"])
    machine.run(f"rm {copied['file']}")
    said = machine.run(f"luckygas restore-table chaos --set {copied['label']} --from s3")
    assert "chaos of luckygas-" in said
    assert ": 100 rows" in said
    machine.on_primary("DROP SCHEMA restored CASCADE")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["refuse", "cut 300000"])
def test_an_outage_reaches_neither_the_archive_nor_the_list(machine: Database, s3: S3, mode: str) -> None:
    before = set(ask(machine, "sorted(k for k in keys() if '/backup/' in k)").split())
    s3.fault(mode)
    machine.run("luckygas backup --full")
    newest = labels(machine)[-1]
    assert copy(machine).endswith("exit 1")
    machine.on_primary("INSERT INTO chaos (id) VALUES (random())")
    machine.on_primary("SELECT pg_switch_wal()")
    wait_until(lambda: backups(machine)["archive"]["waiting_segments"] == 0, "WAL to be archived all the same", 60)
    assert backups(machine)["backups"][-1]["where"] == ["local"]
    assert before <= set(ask(machine, "sorted(k for k in keys() if '/backup/' in k)").split())
    s3.fault("pass")
    assert copy(machine).endswith("exit 0")
    assert backups(machine)["backups"][-1]["where"] == ["local", "s3"]
    assert newest in ask(machine, "keys()")


def is_told(machine: Machine) -> bool:
    query = 'query=ALERTS{alertname="BackupCopyOld",alertstate="firing"}'
    told = machine.fetch("http://127.0.0.1:9090/api/v1/query", "--get", "--data-urlencode", query)
    return bool(json.loads(told)["data"]["result"])


@pytest.mark.long
def test_a_long_outage_is_told_and_heals_by_itself(machine: Database, s3: S3) -> None:
    """Nobody types anything; the job comes round every five minutes, as it does on any machine."""
    machine.run(f"systemctl start {TIMER}")
    s3.fault("refuse")
    machine.run("luckygas backup --full")
    # As if it had begun an hour ago: sooner than that nobody is woken.
    machine.run(r"sed -Ei 's/(\"copied_at\": )[0-9.]+/\11/' /var/lib/luckygas/backup/state.json")
    begun = time.monotonic()
    with DatabaseLoad(machine, 2, 1.0) as load:
        while time.monotonic() - begun < OUTAGE_SECONDS:
            machine.on_primary("SELECT pg_switch_wal()")
            wait_until(lambda: not backups(machine)["archive"]["waiting_segments"], "WAL to be archived", 60)
            time.sleep(20)  # an outage is a length of time; there is nothing else to wait for
        assert metric(machine, 'luckygas_backup_failing{work="copy"}') == 1
        assert backups(machine)["backups"][-1]["where"] == ["local"]
        wait_until(lambda: is_told(machine), "the alert", 120)
    s3.fault("pass")
    healed = seconds_until(lambda: "s3" in backups(machine)["backups"][-1]["where"], "it to be copied", 400)
    wait_until(lambda: not is_told(machine), "the alert to end", 120)
    print(f"\n{OUTAGE_SECONDS:.0f} s without S3, {len(load.acknowledged())} writes; copied {healed:.0f} s after it")
    assert not load.failed()
    assert not load.lost()


@pytest.mark.long
def test_refused_credentials_are_said(machine: Database) -> None:
    authorize = (
        "(u := __import__('urllib.request').request).urlopen(u.Request('https://localhost:9001/moto-api/reset-auth',"
        " data=b'%d', headers={'Content-Type': 'text/plain'}))"
    )
    ask(machine, authorize % 0)
    try:
        said = copy(machine)
    finally:
        ask(machine, authorize % 1_000_000_000)
    assert "it does not know the access key" in said
    assert copy(machine).endswith("exit 0")


@pytest.mark.long
def test_what_the_repository_let_go_of_goes_from_the_bucket_too(machine: Database) -> None:
    oldest = labels(machine)[0]
    assert oldest in ask(machine, "keys()")
    machine.run(f"sudo -u postgres pgbackrest --stanza=luckygas --set={oldest} expire")
    assert copy(machine).endswith("exit 0")
    assert oldest not in ask(machine, "keys()")


@pytest.mark.long
def test_back_from_the_bucket_to_production(machine: Database) -> None:
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 100) n")
    machine.run("luckygas backup --to-s3")
    machine.on_primary("DELETE FROM chaos")
    said = machine.run("luckygas restore --latest --from s3 --into production --yes-i-mean luckygas")
    assert machine.on_primary("SELECT count(*) FROM chaos") == "100"
    assert "Done." in said
    machine.run(
        "luckygas backup --to-s3 && luckygas backup prove && luckygas restore-discard old --yes-i-mean luckygas",
    )


@pytest.mark.long
def test_back_from_the_bucket_when_the_repository_is_gone_with_the_data(machine: Database) -> None:
    """As docs/disaster-recovery.md says, All data directories are gone."""
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 100) n")
    machine.run("luckygas backup --to-s3")
    gone = "/var/lib/postgresql /var/lib/pgbackrest"
    machine.run(f"pkill -KILL -x postgres; rm -rf {gone} || rm -rf {gone}")
    wait_until(
        lambda: "no instance takes writes" in machine.run("luckygas db status", check=False), "it to be told", 60
    )
    assert "Refused: " in machine.run("luckygas restore --latest --into production --yes-i-mean luckygas", check=False)
    said = machine.run("luckygas restore --latest --from s3 --into production --yes-i-mean luckygas", timeout=600)
    assert "the archive goes on in what was fetched" in said
    machine.wait_until_whole()
    assert machine.on_primary("SELECT count(*) FROM chaos") == "100"
    wait_until(lambda: machine.health() == "ok", "the service to be well")
    machine.wait_until_idle()
    machine.run("luckygas backup --full --to-s3 && luckygas backup prove", timeout=600)
    machine.run(f"luckygas restore-discard old --yes-i-mean luckygas && systemctl start {TIMER}")
    play = machine.playbook("site.yml", *ANSWERS)
    assert play.changed == 0, play.changes


@pytest.fixture
def new(machine: Database, s3: S3, tmp_path: Path):
    """Yield a bare machine that reaches the bucket, and nothing else of the one that is gone."""
    with Database(f"{os.environ['LUCKYGAS_SANDBOX']}-new", tmp_path / "answers/.secrets").for_now() as new:
        s3.serve(new)
        yield new


@pytest.mark.long
def test_a_new_machine_from_nothing_but_the_bucket_and_the_passphrase(
    machine: Database, new: Database, tmp_path: Path
) -> None:
    """As docs/disaster-recovery.md has it, The machine is gone; the bucket's two keys and one passphrase are kept."""
    machine.on_primary("TRUNCATE chaos")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'row-' || n FROM generate_series(1, 100) n")
    machine.run("luckygas backup --full && luckygas backup dump --to-s3")
    machine.on_primary("INSERT INTO chaos (id) SELECT 'late-' || n FROM generate_series(1, 10) n")
    machine.on_primary("SELECT pg_switch_wal()")
    wait_until(lambda: not backups(machine)["archive"]["waiting_segments"], "all to be archived")
    assert copy(machine).endswith("exit 0")

    newest = ask(machine, "max(k for k in keys() if k.startswith('sealed/config-'))")
    sealed = base64.b64decode(
        ask(
            machine,
            f"__import__('base64').b64encode(s3.get_object(Bucket='backups', Key='{newest}')['Body'].read()).decode()",
        )
    )
    (tmp_path / "config.gpg").write_bytes(sealed)
    passphrase = machine.secrets_place / "backup_passphrase"
    opening = f"gpg --batch --pinentry-mode loopback --passphrase-file {passphrase} --decrypt {tmp_path}/config.gpg"
    subprocess.run(
        ["sh", "-c", f"{opening} | tar -xzC {tmp_path}"], check=True, env=os.environ | {"HOME": str(tmp_path)}
    )

    began = time.monotonic()
    play = new.playbook("site.yml", *ANSWERS)
    assert play.status == 0, play.output
    installed = time.monotonic()
    new.wait_until_idle()  # its own first backup is being proven
    said = new.run("luckygas restore --latest --from s3 --into production --yes-i-mean luckygas", timeout=600)
    print(f"\ninstalled in {installed - began:.0f} s, restored in {time.monotonic() - installed:.0f} s\n{said}")
    new.wait_until_whole()
    assert new.on_primary("SELECT count(*) FROM chaos") == "110"
    wait_until(lambda: new.health() == "ok", "the service to be well")
    # Which would prove that one, too, and refuse us meanwhile.
    new.run("systemctl stop luckygas-backup-watch.timer")
    new.wait_until_idle()
    new.run("luckygas backup --full --to-s3 && luckygas backup prove && luckygas backup prove --from s3", timeout=600)
    new.run("systemctl start luckygas-backup-watch.timer && luckygas restore-discard old --yes-i-mean luckygas")
    assert "/var/lib/pgbackrest-before-" not in new.run("ls -d /var/lib/pgbackrest*")
    assert backups(new)["backups"][-1]["where"] == ["local", "s3"]
    play = new.playbook("site.yml", *ANSWERS)
    assert play.changed == 0, play.changes
