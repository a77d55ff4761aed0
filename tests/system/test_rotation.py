"""Every secret gets another value while clients are busy: none of their requests fails, and the old values are refused.

Then all that could hold a secret is searched for the old and the new ones.
"""

import json
import stat
from fnmatch import fnmatch

import pytest
from machine import wait_until
from release_clients import Clients

USERS = {"admin": "redis_admin_password", "replica": "redis_replica_password", "sentinel": "redis_sentinel_password",
         "exporter": "redis_exporter_password", "luckygas_app": "redis_password"}  # fmt: skip
ROLES = {"luckygas_app": "database_password", "luckygas_owner": "database_owner_password",
         "exporter": "database_exporter_password"}  # fmt: skip
STATE = "/var/lib/luckygas/rotation.json"
# Where a secret may be, and where nobody but its user reads it.
PLACES = (
    "/etc/luckygas/backup_passphrase",
    "/etc/luckygas/credentials/*",
    "/etc/luckygas/exporters/*/*",
    "/etc/luckygas/redis.json",
    "/etc/luckygas/redis_sentinel.json",
    "/etc/luckygas/vpn.json",
    "/etc/pgbackrest/pgbackrest.conf",
    "/etc/pgbouncer/observers.txt",
    "/etc/redis/managed/redis-?.conf",
    "/etc/redis/managed/sentinel-?.conf",
    "/etc/wireguard/wg0.conf",
    "/run/credentials/*",
    "/run/prometheus-pgbouncer-exporter/passwords",
    "/var/lib/luckygas/answers/.secrets/*",
    # What Redis and its sentinels write down of their settings.
    "/var/lib/redis/?/redis.conf",
    "/var/lib/redis/sentinel-?/sentinel.conf",
)


@pytest.fixture(scope="module")
def before(appliance) -> dict[str, str]:
    """Return the values from before, those of earlier runs of these tests taken over."""
    assert appliance.playbook("site.yml", "--tags", "appliance").status == 0
    return appliance.secrets()


@pytest.fixture(scope="module")
def idle(appliance) -> str:
    """Return a key that is not used before the pepper was replaced."""
    return appliance.new_key()


@pytest.fixture(scope="module")
def clients(appliance, before, idle):
    appliance.run("apt-get install -qq --no-install-recommends python3-pycurl >/dev/null")
    clients = Clients(appliance, [appliance.new_key() for _ in range(4)])
    clients.begin()
    yield clients
    clients.end()


def rotate(appliance, words: str, *, check: bool = True) -> str:
    return appliance.run(f"luckygas rotate {words}", check=check, timeout=600)


def test_all_are_replaced_although_it_was_killed_and_no_request_fails(appliance, clients):
    with clients.during("rotate --all, killed and run again"):
        # In one call: the middle is over in seconds.
        appliance.run(
            "systemd-run --unit=rotation --collect luckygas rotate --all;"
            f" for _ in $(seq 2400); do grep -qs '\"switch\"' {STATE} && break; sleep 0.1; done;"
            " systemctl kill --signal=KILL rotation",
            timeout=600,
        )
        wait_until(lambda: appliance.health() == "ok", "the service to be well in the middle")
        assert "luckygas rotate --continue" in appliance.run("luckygas status", check=False)
        replaced = json.loads(rotate(appliance, "--all --json"))["replaced"]
    assert {*USERS.values(), *ROLES.values(), "pool_exporter_password"} <= {*replaced}
    wait_until(lambda: appliance.health() == "ok", "the service to be well")
    assert "secrets " in appliance.run("luckygas status", check=False)


def test_the_playbook_takes_the_new_values_over(appliance, clients, before):
    """That they change nothing is seen at the end of all tests, by `test_second_run`."""
    with clients.during("the playbook"):
        play = appliance.playbook("site.yml", "--tags", "appliance")
    assert (play.status, play.changed) == (0, 0), play.output
    after = appliance.secrets()
    assert [name for name in (*USERS.values(), *ROLES.values()) if after[name] == before[name]] == []
    assert after["backup_passphrase"] == before["backup_passphrase"]


def test_old_values_are_refused_and_new_ones_are_good(appliance, before):
    after = appliance.secrets()
    for user, name in USERS.items():
        for port in (6379, 6380, 26379) if user != "replica" else (6379, 6380):
            ask = f"redis-cli -p {port} --no-auth-warning --user {user} PING 2>&1"
            assert "WRONGPASS" in appliance.run(f"REDISCLI_AUTH={before[name]} {ask}", check=False)
            assert "PONG" in appliance.run(f"REDISCLI_AUTH={after[name]} {ask}", check=False)
    logins = [(role, name, port) for role, name in ROLES.items() for port in (5432, 5433, 5434)]
    logins += [("luckygas_app", "database_password", 6432)]
    for role, name, port in logins:
        database = "postgres" if role == "exporter" else "luckygas"
        ask = f"psql -XAtc 'SELECT 1' 'host=127.0.0.1 port={port} user={role} dbname={database}' 2>&1"
        assert "authentication failed" in appliance.run(f"PGPASSWORD={before[name]} {ask}", check=False)
        assert appliance.run(f"PGPASSWORD={after[name]} {ask}") == "1"
    for port, proof in ((9127, "pgbouncer_up 1"), (9187, None)):
        page = "/metrics" if proof else "/probe?auth_module=exporter&target=127.0.0.1:5432/postgres"
        told = appliance.fetch(f"http://127.0.0.1:{port}{page}").splitlines()
        assert (proof or "pg_up 1") in told


def test_keys_that_are_used_leave_the_former_pepper_and_others_are_named(appliance, clients, idle):
    busy = [key.split("_")[2] for key in clients.keys]

    def named() -> str:
        told = rotate(appliance, "api_key_pepper --end", check=False)
        return "" if any(key in told for key in busy) else told

    assert idle.split("_")[2] in wait_until(named, "the busy keys to go over", 60)
    assert appliance.request("GET", "/api/v1/orders", Authorization=f"Bearer {idle}").status == 200


def test_the_key_of_the_vpn_is_replaced_when_somebody_says_so(appliance, clients):
    key = appliance.run("wg show wg0 public-key")
    assert "luckygas vpn show NAME" in rotate(appliance, "vpn_key", check=False)
    assert appliance.run("wg show wg0 public-key") == key
    with clients.during("rotate vpn_key"):
        rotate(appliance, "vpn_key --yes")
    assert appliance.run("wg show wg0 public-key") != key
    appliance.run("luckygas vpn")


def test_the_other_door_takes_the_value_over_at_once_and_says_none(appliance, clients):
    name = "redis_exporter_password"
    former = appliance.secrets()
    with clients.during("rotate.yml"):
        play = appliance.playbook("rotate.yml", "-vvv", "-e", f"rotate={name}")
    assert play.status == 0, play.output[-3000:]
    after = appliance.secrets()
    assert after[name] != former[name]
    assert after[name] == appliance.run(f"cat /var/lib/luckygas/answers/.secrets/{name}")
    assert [one for one in after if former[one] in play.output or after[one] in play.output] == []


def test_no_request_failed_and_nothing_was_lost(machine, clients):
    lines = clients.end()
    clients.report()
    assert [line for line in lines if line[5] not in {"200", "201"}] == []
    made = [line[4] for line in lines if line[3] == "POST"]
    kept = machine.on_primary("SELECT name FROM customers").splitlines()
    assert sorted(made) == sorted(name for name in kept if name.startswith(clients.made))


def test_no_secret_is_where_it_should_not_be(appliance, before):
    secrets = {*before.values(), *appliance.secrets().values()}
    assert all(len(value) > 20 for value in secrets)
    appliance.run("umask 077; cat >/run/leak.values", stdin="\n".join(secrets))
    grep = "grep --fixed-strings --file=/run/leak.values"
    try:
        found = appliance.run(
            f"{grep} --files-with-matches --recursive --binary-files=text --devices=skip --no-messages / "
            "--exclude-dir=proc --exclude-dir=sys --exclude-dir=dev --exclude=leak.values",
            check=False).splitlines()  # fmt: skip
        texts = {
            "the journal": "journalctl --output=export --no-pager",
            "systemctl show": "systemctl show --all '*'",
            "arguments": "for one in /proc/[0-9]*; do tr '\\0' '\\n' <$one/cmdline; done 2>/dev/null",
            "environments": "for one in /proc/[0-9]*; do tr '\\0' '\\n' <$one/environ; done 2>/dev/null",
            "statements": "for port in 5432 5433 5434; do psql -XtA -U postgres -p $port luckygas -c "
            "'SELECT query FROM pg_stat_statements UNION ALL SELECT query FROM pg_stat_activity'; done",
            "the release": "python3 -c \"import sys, zipfile; w = zipfile.ZipFile('/opt/luckygas/incoming.whl'); "
            '[sys.stdout.buffer.write(w.read(n)) for n in w.namelist()]"',
        }
        leaks = {
            where: appliance.run(f"{{ {command}; }} | {grep} --text --count || true")
            for where, command in texts.items()
        }
        looked = {where: int(appliance.run(f"{{ {command}; }} | wc -c")) for where, command in texts.items()}
    finally:
        appliance.run("rm /run/leak.values")
    assert leaks == dict.fromkeys(texts, "0")
    assert min(looked.values()) > 1000, looked
    assert [path for path in found if not any(fnmatch(path, place) for place in PLACES)] == []
    # What a unit had that has ended meanwhile is gone.
    modes = appliance.run(f"stat --format='%a %n' {' '.join(found)}", check=False).splitlines()
    assert modes
    assert [line for line in modes if int(line.split()[0], 8) & stat.S_IRWXO] == []


@pytest.mark.long
def test_nothing_is_said_by_the_self_checks_either(appliance):
    play = appliance.playbook("verify.yml", "-vvv")
    assert play.status == 0, play.output[-3000:]
    assert [name for name, value in appliance.secrets().items() if value in play.output] == []


@pytest.mark.long
def test_going_back_to_before_a_rotation_keeps_the_passwords_of_today(machine):
    machine.run("luckygas backup")
    machine.on_primary("TRUNCATE chaos")
    moment = machine.run("date --iso-8601=ns")
    machine.on_primary("INSERT INTO chaos (id) VALUES ('after')")
    machine.run("luckygas rotate database_password database_exporter_password")
    machine.run(f"luckygas restore --to '{moment}' --into production --yes-i-mean luckygas")
    machine.wait_until_whole()
    assert machine.on_primary("SELECT count(*) FROM chaos") == "0"
    wait_until(lambda: machine.health() == "ok", "the service to be well", 60)
    play = machine.playbook("site.yml")
    assert play.status == 0, play.output[-3000:]
    assert play.changed == 0, play.changes


@pytest.mark.long
def test_a_new_passphrase_by_the_steps_of_the_documentation(appliance):
    """As docs/backups.md has them, word for word."""
    former, conf = "/var/lib/pgbackrest-former", "/var/lib/postgresql/pgbackrest-former.conf"
    before = appliance.secrets()["backup_passphrase"]
    newest = appliance.run("luckygas backups --json")
    appliance.run(
        "systemctl stop 'luckygas-backup*.timer' && mv /var/lib/pgbackrest /var/lib/pgbackrest-former &&"
        f" install -o postgres -m 0400 /etc/pgbackrest/pgbackrest.conf {conf}"
    )
    (appliance.secrets_place / "backup_passphrase").unlink()  # the next run of the playbook makes another one
    play = appliance.playbook("site.yml")
    assert play.status == 0, play.output[-3000:]
    assert appliance.secrets()["backup_passphrase"] != before
    appliance.run("luckygas backup --full && luckygas backup prove && luckygas backup dump", timeout=600)
    appliance.run("luckygas backups")
    assert appliance.playbook("site.yml").changed == 0
    info = f"runuser -u postgres -- pgbackrest --config={conf} --repo1-path={former} --stanza=luckygas info"
    found = appliance.run(info)
    assert "status: ok" in found
    (label,) = {one["label"] for one in json.loads(newest)["backups"][-1:]}
    assert label in found
    appliance.run(f"rm -r {former} {conf}")
