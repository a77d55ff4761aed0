"""Faults to plant on an appliance, each with the check of `luckygas doctor` that has to find it."""

from dataclasses import dataclass

TLS = "/etc/nginx/tls"
UNITS = "/etc/systemd/system"
RESTORED = "/var/lib/postgresql/before-restore-planted"
RELEASE = "/opt/luckygas/releases/0.0-planted"
SQL = "psql -XAtq -v ON_ERROR_STOP=1 -h /run/postgresql -U postgres"
RECORD = "import sys; sys.path.insert(0, '/usr/local/lib/luckygas'); from appliance.backup.record import changing"


@dataclass(frozen=True)
class Fault:
    """How a fault is planted and undone, and by which check it has to be found, in which words."""

    check: str
    said: str
    plant: str
    undo: str


def on_primary(statement: str) -> str:
    return f'{SQL} -p "$PRIMARY" -d luckygas -c "{statement}"'


FAULTS = [
    Fault(
        "services",
        "luckygas-redis-restart.timer inactive",
        "systemctl stop luckygas-redis-restart.timer",
        "systemctl start luckygas-redis-restart.timer",
    ),
    Fault(
        "units.failed",
        "planted-failure.service failed",
        "systemd-run -q --wait --unit=planted-failure false || true",
        "systemctl reset-failed planted-failure",
    ),
    Fault(
        "units.masked",
        "prometheus-nginx-exporter.service is masked",
        "systemctl -q mask prometheus-nginx-exporter",
        "systemctl -q unmask prometheus-nginx-exporter",
    ),
    Fault(
        "units.disabled",
        "luckygas-backup-dump.timer is disabled",
        "systemctl -q disable luckygas-backup-dump.timer",
        "systemctl -q enable luckygas-backup-dump.timer",
    ),
    Fault(
        "timers.stopped",
        "dpkg-db-backup.timer does not run",
        "systemctl stop dpkg-db-backup.timer",
        "systemctl start dpkg-db-backup.timer",
    ),
    Fault(
        "units.overridden",
        "planted.conf of luckygas-metrics.service",
        f"mkdir {UNITS}/luckygas-metrics.service.d; echo > {UNITS}/luckygas-metrics.service.d/planted.conf;"
        " systemctl daemon-reload",
        f"rm -r {UNITS}/luckygas-metrics.service.d",
    ),
    Fault(
        "units.reload_needed",
        "luckygas-backup-copy.timer was changed on disk",
        f"touch {UNITS}/luckygas-backup-copy.timer",
        "systemctl daemon-reload && systemctl restart luckygas-backup-copy.timer",
    ),
    Fault(
        "units.replaced",
        "prometheus-blackbox-exporter.service runs what was replaced",
        "cp -a /usr/bin/prometheus-blackbox-exporter /usr/bin/planted"
        " && mv -f /usr/bin/planted /usr/bin/prometheus-blackbox-exporter",
        "systemctl restart prometheus-blackbox-exporter",
    ),
    Fault(
        "time.zone",
        "the machine's is Etc/UTC",
        "ln -sfn ../usr/share/zoneinfo/Etc/UTC /etc/localtime",
        "ln -sfn ../usr/share/zoneinfo/Asia/Taipei /etc/localtime",
    ),
    Fault(
        "locale",
        "LANG is zh_TW.UTF-8",
        "cp -p /etc/locale.conf /tmp/planted-locale && echo LANG=zh_TW.UTF-8 > /etc/locale.conf",
        "cp -p /tmp/planted-locale /etc/locale.conf",
    ),
    # Both of these are files of the playbook's, so they are found by that check, too.
    Fault("files.changed", "/etc/locale.conf was changed by hand", ":", ":"),
    Fault(
        "nginx.configuration",
        "planted",
        "cp -p /etc/nginx/nginx.conf /tmp/planted-nginx && echo 'planted on;' >> /etc/nginx/nginx.conf",
        "cp -p /tmp/planted-nginx /etc/nginx/nginx.conf && systemctl restart nginx",
    ),
    Fault(
        "certificate.served",
        "localhost is served with another one than lies on disk",
        f"readlink {TLS}/current > /tmp/planted-tls && mkdir -m 700 {TLS}/planted && cd {TLS}/planted"
        " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=localhost"
        f" -keyout privkey.pem -out fullchain.pem 2>/dev/null && ln -sfn planted {TLS}/current",
        f'ln -sfn "$(cat /tmp/planted-tls)" {TLS}/current && rm -r {TLS}/planted',
    ),
    Fault(
        "ports.public",
        "python3 listens on 0.0.0.0:8099",
        "systemd-run -q --unit=planted-port python3 -m http.server 8099 --bind 0.0.0.0;"
        " until ss -Hltn | grep -q :8099; do sleep 0.1; done",
        "systemctl stop planted-port",
    ),
    Fault(
        "ssh.passwords",
        "root may log in by a password",
        "printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/00-planted.conf",
        "rm /etc/ssh/sshd_config.d/00-planted.conf",
    ),
    # By the same file sshd does not work by what was confirmed.
    Fault("ssh", "does not work by the settings", ":", ":"),
    Fault(
        "vpn",
        "1 may come in whom nobody added",
        "wg genkey | wg pubkey | xargs -I KEY wg set wg0 peer KEY allowed-ips 10.66.0.250/32",
        "luckygas vpn apply",
    ),
    Fault(
        "disk.held",
        "600 MB of /var/tmp/planted",
        "systemd-run -q --unit=planted-held sh -c 'exec 3>/var/tmp/planted; fallocate -l 600M /var/tmp/planted;"
        " touch /run/planted; rm /var/tmp/planted; exec sleep 600';"
        " until [ -e /run/planted ] && [ ! -e /var/tmp/planted ]; do sleep 0.1; done",
        "systemctl stop planted-held; rm /run/planted",
    ),
    Fault(
        "logs.large",
        "/var/log/planted.log has 2048 MB",
        "truncate -s 2G /var/log/planted.log",
        "rm /var/log/planted.log",
    ),
    Fault(
        "journal.bounds",
        "Storage is volatile",
        "printf '[Journal]\\nStorage=volatile\\n' > /etc/systemd/journald.conf.d/99-planted.conf",
        "rm /etc/systemd/journald.conf.d/99-planted.conf",
    ),
    Fault(
        "packages.broken",
        "planted is half-configured",
        "cd /tmp && mkdir -p planted/DEBIAN && printf 'Package: planted\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: nobody <nobody@localhost>\\nDescription: fails\\n' > planted/DEBIAN/control"
        " && printf '#!/bin/sh\\nexit 1\\n' > planted/DEBIAN/postinst && chmod 755 planted/DEBIAN/postinst"
        " && dpkg-deb --build planted >/dev/null && ! dpkg --install planted.deb >/dev/null 2>&1",
        "dpkg --purge planted >/dev/null && rm -r /tmp/planted /tmp/planted.deb",
    ),
    Fault("packages.held", "tzdata is held back", "apt-mark -q hold tzdata", "apt-mark -q unhold tzdata"),
    Fault("packages.guard", "cannot be run", "chmod -x /usr/sbin/policy-rc.d", "chmod +x /usr/sbin/policy-rc.d"),
    Fault(
        "secrets.readable",
        "redis_password can be read by others",
        "chmod 644 /var/lib/luckygas/answers/.secrets/redis_password",
        "chmod 600 /var/lib/luckygas/answers/.secrets/redis_password",
    ),
    Fault("restore.leftovers", RESTORED, f"mkdir {RESTORED}", f"rmdir {RESTORED}"),
    Fault("release.leftovers", f"{RELEASE} is not whole", f"mkdir {RELEASE}", f"rmdir {RELEASE}"),
    Fault(
        "answers.kept",
        "inventory is empty",
        "mv /var/lib/luckygas/answers/inventory /var/lib/luckygas/answers/planted",
        "mv /var/lib/luckygas/answers/planted /var/lib/luckygas/answers/inventory",
    ),
    Fault(
        "metrics.stale",
        "planted.prom was written 2 h ago",
        "touch -d '-2 hours' /var/lib/prometheus/node-exporter/planted.prom",
        "rm /var/lib/prometheus/node-exporter/planted.prom",
    ),
    Fault(
        "backups.beside",
        "planted: it broke",
        f"python3 -Ic \"{RECORD}\nwith changing() as one: one.failures['planted'] = 'it broke'\"",
        f"python3 -Ic \"{RECORD}\nwith changing() as one: del one.failures['planted']\"",
    ),
    Fault(
        "database.slots",
        "slot planted of",
        on_primary("SELECT pg_create_physical_replication_slot('planted', true)"),
        on_primary("SELECT pg_drop_replication_slot('planted')"),
    ),
    Fault(
        "database.collation",
        "template1 was sorted by 0.9",
        on_primary("UPDATE pg_database SET datcollversion = '0.9' WHERE datname = 'template1'"),
        on_primary("UPDATE pg_database SET datcollversion = NULL WHERE datname = 'template1'"),
    ),
    Fault(
        "database.set_by_hand",
        "log_min_duration_statement = 5s on pg3",
        f"{SQL} -p 5434 -c \"ALTER SYSTEM SET log_min_duration_statement = '5s'\"",
        f'{SQL} -p 5434 -c "ALTER SYSTEM RESET log_min_duration_statement"',
    ),
    Fault(
        "database.configuration",
        "99-planted.conf line 1 of pg2",
        "echo planted = 1 > /etc/postgresql/17/pg2/conf.d/99-planted.conf;"
        " chown postgres: /etc/postgresql/17/pg2/conf.d/99-planted.conf",
        "rm /etc/postgresql/17/pg2/conf.d/99-planted.conf",
    ),
    Fault(
        "tables.sequences",
        "public.planted of luckygas is at 9",
        on_primary("CREATE SEQUENCE planted MAXVALUE 10; SELECT setval('planted', 9)"),
        on_primary("DROP SEQUENCE planted"),
    ),
    Fault(
        "tables.indexes",
        "planted_index of luckygas is not valid",
        on_primary("CREATE TABLE planted_table AS SELECT 1 AS n FROM generate_series(1, 2)")
        + "; ! "
        + on_primary("CREATE UNIQUE INDEX CONCURRENTLY planted_index ON planted_table (n)")
        + " 2>/dev/null",
        on_primary("DROP TABLE planted_table"),
    ),
    Fault(
        "tables.constraints",
        "planted_rule on planted_table",
        on_primary("ALTER TABLE planted_table ADD CONSTRAINT planted_rule CHECK (n > 5) NOT VALID"),
        ":",
    ),
    Fault(
        "tables.vacuum",
        "planted_table of luckygas is left out",
        on_primary("ALTER TABLE planted_table SET (autovacuum_enabled = false)"),
        ":",
    ),
    Fault(
        "jobs.dead",
        "(planted) failed for good",
        on_primary(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('planted', 'planted', 'failed')"
        ),
        on_primary("DELETE FROM procrastinate_jobs WHERE queue_name = 'planted'"),
    ),
    Fault(
        "jobs.waiting",
        "waiting: 1 job, the oldest for 6",  # for an hour, and for as long as it took to come to this
        # Behind one of the worker's that does not end, so that it leaves this one alone.
        on_primary(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, status, scheduled_at, worker_id)"
            " VALUES ('planted', 'planted', 'planted', 'doing', NULL, (SELECT max(id) FROM procrastinate_workers)),"
            " ('planted', 'planted', 'planted', 'todo', now() - '1 h'::interval, NULL)"
        ),
        ":",
    ),
]
