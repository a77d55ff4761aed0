"""Files: changed by hand, readable by others, left over, missing for a new machine."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.backup.places import ANSWERS, SCRATCH, put_aside
from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL
from appliance.release.places import CANDIDATE, INSTANCES, MARK, RELEASES, unit_of
from appliance.system import run

WRITTEN = Path("/var/lib/luckygas/files.json")
METRICS = Path("/var/lib/prometheus/node-exporter")
METRICS_SECONDS = 3600
OTHERS = 0o007
# Whoever is not root, nor of the group that needs it, finds none of these readable.
SECRETS = (
    "/etc/luckygas/credentials/*",
    "/etc/luckygas/alertmanager/*",
    "/etc/luckygas/exporters/*/*",
    "/etc/luckygas/backup_passphrase",
    "/etc/luckygas/s3.json",
    "/etc/luckygas/vpn.json",
    "/etc/luckygas/redis.json",
    "/etc/luckygas/redis_sentinel.json",
    "/etc/wireguard/*",
    "/etc/pgbackrest/pgbackrest.conf",
    "/etc/pgbouncer/observers.txt",
    "/etc/redis/managed/*.acl",
    "/etc/nginx/tls/*/privkey.pem",
    "/etc/letsencrypt/archive/*/privkey*.pem",
    "/var/lib/luckygas/answers/.secrets/*",
    "/var/lib/luckygas/sealed/*",
    "/var/lib/luckygas/files.json",
    "/var/lib/luckygas/rotation.json",
)


@examines("files.changed", why="the next run of the playbook undoes it", what="run the playbook, or change the answers")
def changed(_: Settings) -> Iterator[str]:
    """Compare what the playbook wrote with what lies there."""
    for name, digest in json.loads(WRITTEN.read_text()).items():
        file = Path(name)
        # What is gone may have been retired; whoever needs it says so.
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            yield f"{name} was changed by hand"


@examines("secrets.readable", why="every process of this machine can read it", what="chmod o= {}", severity=CRITICAL)
def readable(_: Settings) -> Iterator[Found]:
    """Find secrets that others may read, or could as soon as somebody opens the directory."""
    for pattern in SECRETS:
        for file in Path("/").glob(pattern.removeprefix("/")):
            if file.is_file() and file.stat().st_mode & OTHERS:
                yield Found(f"{file} can be read by others", str(file))


@examines(
    "restore.leftovers",
    why="it takes room, and has data of customers",
    what="luckygas restore-discard old; luckygas restore-discard scratch",
)
def of_restores(_: Settings) -> Iterator[str]:
    """Find data that restores put aside, and trials that were broken off."""
    for place in put_aside():
        yield f"{place} was put aside by a restore"
    for place in SCRATCH.glob("*"):
        unit = f"luckygas-scratch@{place.name}.service"
        if run(["systemctl", "is-active", "--quiet", unit, "luckygas-backup-proof"], timeout=10).returncode:
            yield f"{place} was left by a trial"


@examines("release.leftovers", why="it takes room, and its build did not come to an end", what="luckygas releases")
def of_releases(_: Settings) -> Iterator[str]:
    """Find releases whose build was broken off, and a candidate that nobody tries."""
    for place in RELEASES.glob("*"):
        if place.is_dir() and not (place / MARK).exists():
            yield f"{place} is not whole"
    unit = unit_of(CANDIDATE)
    if (INSTANCES / CANDIDATE).is_symlink() and run(["systemctl", "is-active", "--quiet", unit], timeout=10).returncode:
        yield f"{INSTANCES / CANDIDATE} was left by a trial"


@examines(
    "answers.kept",
    why="the backups could not be brought to a new machine",
    what="run the whole playbook, without tags",
    severity=CRITICAL,
)
def kept(_: Settings) -> Iterator[str]:
    """Ask for what a new machine would be made by, which the encrypted configuration carries."""
    for name in ("inventory", ".secrets"):
        if not any((ANSWERS / name).glob("*")):
            yield f"{ANSWERS / name} is empty"


@examines("metrics.stale", why="alerts judge by what was true long ago", what="ls -l /var/lib/prometheus/node-exporter")
def stale(_: Settings) -> Iterator[str]:
    """Find figures that programs leave for Prometheus and that nobody renews."""
    for file in METRICS.glob("*.prom"):
        age = time.time() - file.stat().st_mtime
        if age > METRICS_SECONDS:
            yield f"{file.name} was written {age / 3600:.0f} h ago"
