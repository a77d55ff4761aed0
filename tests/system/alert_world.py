"""The appliance with receivers of its alerts, and what is done to it so that it alerts."""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from database import Database
from machine import ROOT, wait_until
from redis_pair import PORTS, Pair

HERE = Path(__file__).parent
RULES = ROOT / "roles/prometheus/files/alerts.yml"
CAUSES = yaml.safe_load((ROOT / "tests/alerts/causes.yml").read_text())
WEB, MAIL = 9797, 2525
RECEIVER = f"http://127.0.0.1:{WEB}"
SECRETS = {"smtp_password": "a mail's password", "slack_url": f"{RECEIVER}/slack"}
ANSWERS = {
    "site_alert_mail": f"smtp://lucky@localhost:{MAIL}/ops@luckygas.tw",
    "site_alert_webhook": f"{RECEIVER}/webhook",
    "site_alert_slack": "#lucky-gas",
    "site_alert_heartbeat": f"{RECEIVER}/heartbeat",
}
AUTHORITY = "/usr/local/share/ca-certificates/lg-test-mail.crt"
TRUST = f"""
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout /tmp/mail.key -out {AUTHORITY} 2>/dev/null && update-ca-certificates >/dev/null 2>&1
"""
FORGET = f"rm -f {AUTHORITY} /tmp/mail.key; update-ca-certificates --fresh >/dev/null 2>&1"

# Alertmanager reads at its start whose certificates are good, and does not tell again what it knows to have told.
AFRESH = (
    "systemctl stop prometheus-alertmanager; rm -f /var/lib/luckygas-alertmanager/nflog;"
    " systemctl start prometheus-alertmanager"
)

# Shortened are, and in the copy of the rules alone: how long something has to last, and how far back is looked.
LASTS = "10s"
LOOKS_BACK = "1m"

FUNCTIONS = r"""
RECORD="import sys, time; sys.path.insert(0, '/usr/local/lib/luckygas'); from appliance.backup.record import changing"
METRICS=/var/lib/prometheus/node-exporter BACKUPS=/var/lib/luckygas/backup CUSTOMERS=planted-lock
ARCHIVE=$(echo /var/lib/pgbackrest/archive/*/*-1)
port_of() { python3 -c "import json
for one in json.load(open('/etc/luckygas/database.json'))['instances']: one['name'] == '$1' and print(one['port'])"; }
sql_of() { psql -XAtq -v ON_ERROR_STOP=1 -h /run/postgresql -U postgres -p "$(port_of $1)" -d luckygas -c "$2"; }
sql() { sql_of $PRIMARY "$1"; }
forge() { PGOPTIONS='-c session_replication_role=replica' sql "$1"; }
await() { for attempt in $(seq 100); do [ -n "$("$@")" ] && return; sleep 0.2; done; echo "in vain: $*"; return 1; }
enqueue() { sql "SELECT procrastinate_defer_jobs_v1(
  ARRAY[ROW('default', '$1', 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1])" >/dev/null; }
is_proven() { python3 -c "import json
proofs = json.load(open('$BACKUPS/state.json'))['proofs']
exit(not any(one['good'] and one['repository'] == 'local' for one in proofs))"; }
record() { python3 -Ic "$RECORD
with changing() as one:
    $1"; }
clients() { python3 /tmp/alert_clients.py "$@"; }
redis() { redis-cli -p "$REDIS_PORT" --user admin --no-auth-warning "$@" >/dev/null; }
fill_redis() { # more than there is room for, a bit at a time so that a follower keeps up
  for bit in $(seq 40); do
    redis EVAL "for i = 1, 100 do redis.call('SET', 'lg:planted:$bit:' .. i, string.rep('x', 50000), 'EX', 7200) end" 0
  done; }
empty_redis() { redis-cli -p "$REDIS_PORT" --user admin --no-auth-warning --scan --pattern 'lg:planted:*' |
  xargs -r redis-cli -p "$REDIS_PORT" --user admin --no-auth-warning UNLINK >/dev/null; }
lock_customers() { systemctl is-active --quiet $CUSTOMERS && return
  systemd-run --quiet --unit=$CUSTOMERS psql -XAtq -h /run/postgresql -U postgres -p "$(port_of $PRIMARY)" -d luckygas \
    -c 'BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(7200)'
  systemd-run --quiet --unit=planted-clients python3 /tmp/alert_clients.py keep "$KEY" 6; }
unlock_customers() { systemctl stop planted-clients $CUSTOMERS 2>/dev/null || true; }
fill_disk() { mountpoint -q /srv/planted && return # within a minute, so that its end can be foretold
  mkdir -p /srv/planted && mount -o loop /var/tmp/planted.img /srv/planted
  systemctl restart prometheus-node-exporter # in a container it does not see what is mounted later
  systemd-run --quiet --unit=planted-disk sh -c \
    'for bit in $(seq 12); do head -c 4500000 /dev/zero >>/srv/planted/full; sleep 4; done'; }
remove_disk() { # whoever writes to it may have come to its end
  systemctl stop planted-disk 2>/dev/null || true
  umount --lazy /srv/planted && rmdir /srv/planted; }
"""


def shortened(rules: str) -> str:
    """Return the rules as they are shipped but for their times."""

    def seconds(text: str) -> int:
        return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]

    told = yaml.safe_load(rules)
    for rule in (rule for group in told["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"\[\d+[mh]\]", f"[{LOOKS_BACK}]", rule["expr"])
        if "for" in rule:
            rule["for"] = min(rule["for"], LASTS, key=seconds)
    return yaml.safe_dump(told)


class World:
    """The machine, receivers on its loopback, and what they got."""

    def __init__(self, machine: Database, place: Path) -> None:
        """Start the receivers."""
        self.machine, self.place = machine, place
        self.kept = place / "received"
        machine.run(TRUST)
        for source, name in ((AUTHORITY, "cert.pem"), ("/tmp/mail.key", "key.pem")):
            machine.get(source, place / name)
        (place / "password").write_text(SECRETS["smtp_password"])
        self.processes = {"web": self.start("web"), "mail": self.start("mail")}
        machine.put(HERE / "alert_clients.py", "/tmp/alert_clients.py")

    def start(self, kind: str) -> subprocess.Popen:
        """Start a receiver and wait for it."""
        port = {"web": WEB, "mail": MAIL}[kind]
        script = str(HERE / "alert_receivers.py")
        process = self.machine.run_in_network(
            script, kind, str(port), str(self.kept), str(self.place), place=self.place
        )
        wait_until(lambda: self.machine.run(f"ss -Hltn sport = :{port}"), f"the {kind} receiver")
        return process

    def stop(self, kind: str) -> None:
        """Have a receiver be away."""
        self.processes[kind].kill()
        self.processes[kind].wait()

    def make_disk(self, image: Path) -> None:
        """Put a small disk onto the machine, as a file."""
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(
            ["mkfs.ext4", "-q", image], check=True, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        )
        self.machine.put(image, "/var/tmp/planted.img")

    def put(self, path: str) -> None:
        """Tell the receiver how to behave."""
        self.machine.run(f"python3 /tmp/alert_clients.py put {RECEIVER}/{path}")

    def received(self, by: str, since: float = 0.0) -> list[dict]:
        """Return what arrived there, with the moment."""
        lines = self.kept.read_text().splitlines() if self.kept.exists() else []
        rows = [json.loads(line) for line in lines]
        return [row | {"told": json.loads(row["text"])} for row in rows if row["by"] == by and row["at"] >= since]

    def arrived(self, status: str, since: float, by: str = "webhook") -> dict[str, float]:
        """Return when each alert first arrived as firing, or as resolved."""
        found: dict[str, float] = {}
        for row in self.received(by, since):
            for alert in row["told"]["alerts"]:
                if alert["status"] == status:
                    found.setdefault(alert["labels"]["alertname"], row["at"])
        return found

    def firing(self, *, or_pending: bool = False) -> set[str]:
        """Return what Prometheus says fires, or is about to; Alertmanager does not tell of all of it."""
        told = self.machine.run("python3 /tmp/alert_clients.py get http://127.0.0.1:9090/api/v1/alerts")
        alerts = json.loads(told)["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if or_pending or one["state"] == "firing"}

    @contextmanager
    def rules(self, text: str) -> Iterator[None]:
        """Have Prometheus judge by other rules for a while."""
        file = "/etc/prometheus/luckygas-alerts.yml"
        self.machine.run(
            f"cat > {file}; promtool check rules --lint=none {file} && systemctl reload prometheus", stdin=text
        )
        try:
            yield
        finally:
            self.machine.run(f"cat > {file}; systemctl reload prometheus", stdin=RULES.read_text())

    @contextmanager
    def caused(self, names: Iterable[str]) -> Iterator[dict[str, float]]:
        """Plant the causes of alerts and yield when each was; put all right afterwards."""
        standbys = self.machine.standbys()
        told = {
            "PRIMARY": self.machine.primary(),
            "LAGGARD": standbys[0],
            "LOST": standbys[1],
            "PRIMARY_PORT": str(self.machine.port(self.machine.primary())),
            "REDIS_PORT": str(PORTS[Pair(self.machine).master()]),
            "REDISCLI_AUTH": self.machine.secrets()["redis_admin_password"],
            "RECEIVER": RECEIVER,
            "KEY": self.machine.new_key(),
        }
        known = FUNCTIONS + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items())
        moments: dict[str, float] = {}
        try:
            for name in names:
                moments[name] = time.time()
                self.machine.run(f"set -e\n{known}\n{CAUSES[name]['plant']}")
            yield moments
        finally:
            undo = dict.fromkeys(CAUSES[name]["undo"] for name in reversed(moments))
            done = {step: self.machine.attempt(f"set -e\n{known}\n{step}") for step in undo}
            assert {step: one.stdout + one.stderr for step, one in done.items() if one.returncode} == {}

    def wait_until_silent(self, names: set[str], seconds: float = 600) -> None:
        """Wait until none of these fires, nor would soon because of what was planted before."""
        try:
            wait_until(lambda: not self.firing(or_pending=True) & names, "nothing of it to fire", seconds)
        except BaseException:
            print(f"still firing: {sorted(self.firing(or_pending=True) & names)}")
            raise

    def wait_for(
        self, names: Iterable[str], arrived: Callable[[], dict[str, float]], seconds: float
    ) -> dict[str, float]:
        """Wait until each of these is among what arrived."""
        wanted = set(names)
        try:
            wait_until(lambda: wanted <= set(arrived()), "the alerts", seconds)
        except BaseException:
            print(f"missing: {sorted(wanted - set(arrived()))}; firing: {sorted(self.firing())}")
            raise
        return arrived()
