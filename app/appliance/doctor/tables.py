"""PostgreSQL's tables: what will stop a write, slow a query, or is not cleaned up."""

from collections.abc import Iterator

from appliance.database import postgres
from appliance.doctor.database import AS_SUPERUSER, cluster, primary
from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL

NEAR_END = 0.8
DEAD_ROWS = 100_000
LEFT_OUT = "{autovacuum_enabled=false,autovacuum_enabled=off}"


def rows(statement: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a statement in each of the appliance's databases, with the database's name."""
    for database in cluster().settings.databases:
        for row in postgres.query(primary(), statement, database=database, timeout=10):
            yield database, row


@examines(
    "tables.sequences", why="at its end no row can be added", what=f"{AS_SUPERUSER} '\\d {{}}'", severity=CRITICAL
)
def sequences(_: Settings) -> Iterator[Found]:
    """Find sequences near their end, or near that of the column that they fill."""
    statement = f"""
        SELECT format('%I.%I', s.schemaname, s.sequencename), s.last_value
        FROM pg_sequences s JOIN pg_class c ON c.oid = format('%I.%I', s.schemaname, s.sequencename)::regclass
        LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0
        LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE NOT s.cycle AND s.last_value > {NEAR_END} * least(s.max_value,
          CASE a.atttypid WHEN 'int4'::regtype THEN 2147483647 WHEN 'int2'::regtype THEN 32767 END)
    """
    for database, (name, value) in rows(statement):
        yield Found(f"{name} of {database} is at {int(value):,}", primary().port, database, name)


@examines(
    "tables.indexes",
    why="it slows writes, helps no query, and may stand for a rule that is not kept",
    what=f"{AS_SUPERUSER} 'REINDEX INDEX CONCURRENTLY {{}}'",
)
def indexes(_: Settings) -> Iterator[Found]:
    """Find indexes whose making was broken off. One that is being made now is another thing."""
    statement = """
        SELECT indexrelid::regclass FROM pg_index
        WHERE NOT indisvalid AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = indrelid)
    """
    for database, (name,) in rows(statement):
        yield Found(f"{name} of {database} is not valid", primary().port, database, name)


@examines(
    "tables.constraints",
    why="rows that break it may be there already",
    what=f"{AS_SUPERUSER} 'ALTER TABLE {{}} VALIDATE CONSTRAINT {{}}'",
)
def constraints(_: Settings) -> Iterator[Found]:
    """Find constraints that hold for new rows alone."""
    for database, (table, name) in rows(
        "SELECT conrelid::regclass, conname FROM pg_constraint WHERE NOT convalidated AND conrelid <> 0"
    ):
        yield Found(f"{name} on {table} of {database}", primary().port, database, table, name)


@examines(
    "tables.vacuum",
    why="it grows, and every query of it gets slower",
    what=f"{AS_SUPERUSER} 'VACUUM (VERBOSE, ANALYZE) {{}}'",
)
def vacuum(_: Settings) -> Iterator[Found]:
    """Find tables that are not cleaned up: since somebody switched it off, or since something holds it up."""
    if postgres.query(primary(), "SHOW autovacuum") != [["on"]]:
        yield Found("autovacuum is off", primary().port, "postgres", "")
    statement = f"""
        SELECT c.oid::regclass, coalesce(s.n_dead_tup, 0),
          coalesce(c.reloptions && '{LEFT_OUT}', false)
        FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
        WHERE c.relkind = 'r' AND (c.reloptions && '{LEFT_OUT}'
          OR s.n_dead_tup > {DEAD_ROWS} AND s.n_dead_tup > s.n_live_tup)
    """
    for database, (table, dead, off) in rows(statement):
        state = "is left out" if off == "t" else f"has {int(dead):,} dead rows"
        yield Found(f"{table} of {database} {state}", primary().port, database, table)
