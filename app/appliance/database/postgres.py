"""Asking and telling one PostgreSQL instance, by psql over its unix socket."""

import subprocess
import time
from pathlib import Path

from appliance.database.machine import Node
from appliance.database.settings import BIN, SOCKETS, Instance, Settings
from appliance.system import log, run

# Debian's /usr/bin/psql is a Perl script around this one, and ten times slower to start.
PSQL = BIN / "psql"
REPLICATION_USER = "replicator"

# A receiver that asks for WAL which is there no more streams for a millisecond, and asks again 25 times a second.
LOOK = """
SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN
         greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0'))
       ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn,
  pg_last_wal_receive_lsn() IS NOT NULL OR EXISTS (SELECT FROM pg_stat_activity
    WHERE backend_type = 'startup' AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')),
  substring(current_setting('primary_conninfo') FROM 'port=([0-9]+)'),
  coalesce((SELECT sender_port FROM pg_stat_wal_receiver JOIN pg_stat_activity USING (pid)
            WHERE status = 'streaming' AND backend_start < clock_timestamp() - interval '0.1 s'), 0),
  coalesce(CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END, 0)
"""
# What a restore leaves in postgresql.auto.conf. One that leads does not heed it, and a rejoin takes it away.
TARGET_SETTINGS = "restore_command|recovery_[a-z_]+"


class QueryError(Exception):
    """An instance refused a statement or did not answer."""


def asking(port: int, *statements: str, user: str = "postgres", database: str = "postgres") -> list[str | Path]:
    """Return the command that runs statements, each in a transaction of its own."""
    words = ["-XAtqw", "-F", "|", "-v", "ON_ERROR_STOP=1", "-h", SOCKETS, "-p", str(port), "-U", user, "-d", database]
    return [PSQL, *words, *(word for statement in statements for word in ("-c", statement))]


def psql(
    port: int,
    *statements: str,
    timeout: float,
    user: str = "postgres",
    database: str = "postgres",
    run_as: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run statements, each in a transaction of its own."""
    return run(asking(port, *statements, user=user, database=database), timeout=timeout, user=run_as)


def query(instance: Instance, *statements: str, timeout: float = 3.0, database: str = "postgres") -> list[list[str]]:
    """Return the rows of statements that have to succeed."""
    result = psql(instance.port, *statements, timeout=timeout, database=database)
    if result.returncode:
        message = f"{instance.name}: {result.stderr.strip() or 'no answer'}"
        raise QueryError(message)
    return [line.split("|") for line in result.stdout.splitlines()]


def look(settings: Settings, instance: Instance, *, processes: bool, timeout: float = 1.0) -> Node:
    """Ask an instance how it is. One that cannot be asked is a finding, not an error."""
    if not processes:
        return Node()
    result = psql(instance.port, LOOK, timeout=timeout)
    if result.returncode:
        starting = "starting up" in result.stderr or "not yet accepting connections" in result.stderr
        return Node(processes=True, starting=starting)
    recovery, position, settled, told_port, sender_port, age = result.stdout.strip().split("|")
    ports = {str(one.port): one.name for one in settings.instances.values()}
    upstream = ports.get(told_port)
    return Node(
        processes=True,
        answers=True,
        primary=recovery == "f",
        position=int(float(position)),
        settled=settled == "t",
        upstream=upstream,
        streams=upstream is not None and ports.get(sender_port) == upstream,
        replay_seconds=float(age),
    )


def upstream_settings(instance: Instance, upstream: Instance) -> dict[str, str]:
    """Return the two settings with which an instance streams from another one."""
    conninfo = (
        f"host={SOCKETS} port={upstream.port} user={REPLICATION_USER} "
        f"application_name={instance.name} connect_timeout=2"
    )
    return {"primary_conninfo": conninfo, "primary_slot_name": instance.slot}


def ensure_slot(upstream: Instance, instance: Instance) -> None:
    """Have the upstream keep WAL for the instance; a slot that lost its WAL is replaced."""
    name = instance.slot
    query(
        upstream,
        f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        f" WHERE slot_name = '{name}' AND wal_status = 'lost' AND NOT active",
        f"SELECT pg_create_physical_replication_slot('{name}', true)"
        f" WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}')",
    )


def attach(instance: Instance, upstream: Instance) -> None:
    """Let a running standby stream from another instance, without a restart."""
    ensure_slot(upstream, instance)
    changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in upstream_settings(instance, upstream).items()]
    query(instance, *changes, "SELECT pg_reload_conf()")


def promote(instance: Instance, patience: float = 30.0) -> None:
    """Make a standby a primary that enforces quorum commit; returns when it takes writes."""
    enforce = ("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    asked = psql(instance.port, *enforce, "SELECT pg_promote(false)", timeout=3.0)
    if asked.returncode and "recovery is not in progress" not in asked.stderr:
        message = f"{instance.name} refused to be promoted: {asked.stderr.strip()}"
        raise QueryError(message)
    deadline = time.monotonic() + patience
    while psql(instance.port, "SELECT pg_is_in_recovery()", timeout=1.0).stdout.strip() != "f":
        if time.monotonic() > deadline:
            message = (
                f"{instance.name} did not leave recovery within {patience:g} s; see: journalctl -u {instance.unit}"
            )
            raise QueryError(message)
    log(f"{instance.name} takes writes")


def drop_foreign_slots(instance: Instance) -> None:
    """On a standby: let go of the WAL that it kept for others while it led."""
    query(
        instance,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        " WHERE NOT active AND slot_name LIKE 'repmgr_slot_%'",
    )


def enforce_quorum(instance: Instance, *, on: bool) -> None:
    """Have each commit wait for one standby, as the configuration file says, or for none."""
    change = "ALTER SYSTEM RESET synchronous_standby_names" if on else "ALTER SYSTEM SET synchronous_standby_names = ''"
    query(instance, change, "SELECT pg_reload_conf()")
