"""PostgreSQL as a server: what it keeps, how it is set, what the next start or the next year brings."""

from collections.abc import Iterator
from functools import cache

from appliance.database import pool, postgres
from appliance.database.cluster import Cluster
from appliance.database.settings import Instance
from appliance.database.settings import Settings as Database
from appliance.database.state import Store
from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL, counted

KEPT_BYTES = 4 << 30
LONG_SECONDS = 300
LOCKED_SECONDS = 30
WAIT_SECONDS = 5
MAXWAIT_COLUMN = -4  # of SHOW POOLS, whose columns grow in the middle
AGE = 1_000_000_000
AS_SUPERUSER = "psql -U postgres -p {} {} -c"
# What the failover program sets on an instance, and nobody else.
OURS = ("primary_conninfo", "primary_slot_name", "synchronous_standby_names")


@cache
def cluster() -> Cluster:
    """Return the instances of this machine."""
    return Cluster(Database.load())


def primary() -> Instance:
    """Return the instance that is to lead."""
    return cluster().instances[Store().load().primary]


def answering() -> Iterator[Instance]:
    """Yield the instances that can be asked; of the others `database.standbys` and `database.leader` tell."""
    for name, node in cluster().look().items():
        if node.answers:
            yield cluster().instances[name]


@examines(
    "database.slots",
    why="WAL is kept for it until the disk is full",
    what=f"{AS_SUPERUSER} 'SELECT * FROM pg_replication_slots'",
    severity=CRITICAL,
)
def slots(_: Settings) -> Iterator[Found]:
    """Find replication slots of nobody, or that keep much WAL, or have lost some."""
    ours = ",".join(f"'{one.slot}'" for one in cluster().instances.values())
    for one in answering():
        rows = postgres.query(
            one,
            "SELECT slot_name, wal_status, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
            " ELSE pg_current_wal_lsn() END, restart_lsn)::bigint >> 20 FROM pg_replication_slots WHERE NOT temporary"
            f" AND (wal_status IN ('unreserved', 'lost') OR NOT active AND slot_name NOT IN ({ours})"
            f" OR pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
            f" ELSE pg_current_wal_lsn() END, restart_lsn) > {KEPT_BYTES})",
        )
        for name, status, kept in rows:
            yield Found(
                f"slot {name} of {one.name} keeps {kept or 0} MB of WAL ({status or 'unused'})", one.port, "postgres"
            )


@examines(
    "database.transactions",
    why="nothing is cleaned up while it lasts, and no switchover is possible",
    what=f"{AS_SUPERUSER} 'SELECT pg_terminate_backend({{}})'",
)
def transactions(_: Settings) -> Iterator[Found]:
    """Find transactions that do not end. The dump is one that may take its time."""
    rows = postgres.query(
        primary(),
        "SELECT pid, usename, application_name, state, round(extract(epoch FROM clock_timestamp() - xact_start))"
        " FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'pg_dump'"
        f" AND clock_timestamp() - xact_start > '{LONG_SECONDS} s'",
    )
    for pid, user, program, state, age in rows:
        yield Found(
            f"{user} ({program or 'unnamed'}, process {pid}) is {state} since {age} s", primary().port, "postgres", pid
        )


@examines(
    "database.locks",
    why="its clients wait, and soon all others",
    what=f"{AS_SUPERUSER} 'SELECT pg_terminate_backend({{}})'",
)
def locks(_: Settings) -> Iterator[Found]:
    """Find who has long been waited for."""
    rows = postgres.query(
        primary(),
        "SELECT DISTINCT blocker, pid FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) AS blocker"
        f" WHERE wait_event_type = 'Lock' AND clock_timestamp() - state_change > '{LOCKED_SECONDS} s'",
    )
    for blocker, waiting in rows:
        yield Found(f"process {waiting} waits for process {blocker}", primary().port, "postgres", blocker)


@examines(
    "database.wraparound",
    why="at two billion PostgreSQL takes no more writes",
    what=f"{AS_SUPERUSER} 'VACUUM FREEZE'",
    severity=CRITICAL,
)
def wraparound(_: Settings) -> Iterator[Found]:
    """Find databases with transactions so old that the automatic clean-up must have failed for long."""
    ages = "SELECT datname, greatest(age(datfrozenxid), mxid_age(datminmxid)) FROM pg_database"
    for name, age in postgres.query(primary(), ages):
        if int(age) > AGE:
            yield Found(f"{name} is {int(age):,} transactions old", primary().port, name)


@examines(
    "database.collation",
    why="an index may not find what is there",
    what="psql -U postgres -p {0} {1} -c 'REINDEX DATABASE {1}' -c 'ALTER DATABASE {1} REFRESH COLLATION VERSION'",
    severity=CRITICAL,
)
def collation(_: Settings) -> Iterator[Found]:
    """Find databases that were sorted by another version of the system's library."""
    changed = (
        "SELECT datname, datcollversion, pg_database_collation_actual_version(oid) FROM pg_database"
        " WHERE datallowconn AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)"
    )
    for name, was, is_now in postgres.query(primary(), changed):
        yield Found(f"{name} was sorted by {was or 'none'}, the library has {is_now or 'none'}", primary().port, name)


@examines(
    "database.checksums",
    why="a disk or memory is failing",
    what="luckygas backup prove; journalctl -k -p err",
    severity=CRITICAL,
)
def checksums(_: Settings) -> Iterator[str]:
    """Find pages that were not read as they were written, and instances that would not notice."""
    for one in answering():
        for name, failures in postgres.query(
            one,
            "SELECT coalesce(datname, 'shared'), checksum_failures FROM pg_stat_database WHERE checksum_failures > 0",
        ):
            yield f"{counted(int(failures), 'broken page')} in {name} of {one.name}"
        if postgres.query(one, "SHOW data_checksums") != [["on"]]:
            yield f"{one.name} has no checksums"


@examines(
    "database.set_by_hand",
    why="it outlives every run of the playbook, on one instance alone",
    what=f"{AS_SUPERUSER} 'ALTER SYSTEM RESET {{}}' -c 'SELECT pg_reload_conf()'",
)
def set_by_hand(_: Settings) -> Iterator[Found]:
    """Find settings that somebody made by ALTER SYSTEM."""
    ours = ",".join(f"'{name}'" for name in OURS)
    for one in answering():
        rows = postgres.query(
            one,
            "SELECT name, setting FROM pg_file_settings"
            f" WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name NOT IN ({ours})"
            f" AND name !~ '^({postgres.TARGET_SETTINGS})$'",
        )
        for name, value in rows:
            yield Found(f"{name} = {value} on {one.name}", one.port, "postgres", name)


@examines(
    "database.configuration",
    why="the instance will not start again, or lets nobody in",
    what="journalctl -u {}",
    severity=CRITICAL,
)
def configuration(_: Settings) -> Iterator[Found]:
    """Have each instance read its files."""
    for one in answering():
        for file, line, why in postgres.query(
            one,
            # What only a restart brings is no mistake.
            "SELECT sourcefile, sourceline, error FROM pg_file_settings"
            " WHERE error IS NOT NULL AND error NOT LIKE '%without restarting the server'"
            " UNION ALL SELECT file_name, line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL",
        ):
            yield Found(f"{file} line {line} of {one.name}: {why}", one.unit)


@examines(
    "database.registry",
    why="repmgr's own commands work with what is not so",
    what="luckygas db reconcile; luckygas db status",
)
def of_repmgr(_: Settings) -> Iterator[str]:
    """Compare repmgr's table with the state. Who is active, repmgrd itself keeps up to date."""
    state = Store().load()
    told = dict(postgres.query(primary(), "SELECT node_name, type FROM repmgr.nodes", database="repmgr"))
    for name in cluster().instances:
        wanted = "primary" if name == state.primary else "standby"
        if told.get(name) != wanted:
            yield f"repmgr holds {name} for {told.get(name, 'nothing')}, it is a {wanted}"


@examines("pool.waits", why="requests take as long, and fail in the end", what="luckygas db status")
def waits(_: Settings) -> Iterator[str]:
    """Ask pgBouncer whether a client waits for a connection."""
    told = pool.admin(cluster().settings, "SHOW POOLS")
    if told.returncode:
        yield f"it does not answer: {told.stderr.strip()}"
    for row in (line.split("|") for line in told.stdout.splitlines()):
        if float(row[MAXWAIT_COLUMN]) > WAIT_SECONDS:
            yield f"a client of {row[0]} has waited for {row[MAXWAIT_COLUMN]} s"
