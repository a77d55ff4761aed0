"""One table as it was: put beside what is there now, so that nothing is overwritten."""

import re
from datetime import UTC, datetime

from appliance.backup.pgbackrest import Say
from appliance.backup.scratch import Scratch, ScratchError
from appliance.database import postgres
from appliance.database.settings import BIN, Instance
from appliance.output import RefusedError
from appliance.system import pipe

SCHEMA = "restored"
NAME = re.compile(r"(?:([a-z_][a-z0-9_]*)\.)?([a-z_][a-z0-9_]*)")


def parse(wanted: str) -> tuple[str, str]:
    """Return schema and name of a table."""
    found = NAME.fullmatch(wanted)
    if not found:
        raise RefusedError(f"{wanted!r} is no table's name: say NAME or SCHEMA.NAME")
    return found[1] or "public", found[2]


def bring(scratch: Scratch, primary: Instance, database: str, wanted: str, say: Say) -> tuple[str, int]:
    """Copy a table from a throw-away server to the one that leads; returns its name there, and its rows."""
    schema, name = parse(wanted)
    if scratch.psql(f"SELECT to_regclass('{schema}.{name}')", database=database) == "":
        there = scratch.psql(
            f"SELECT string_agg(tablename, ', ' ORDER BY 1) FROM pg_tables WHERE schemaname = '{schema}'",
            database=database,
        )
        raise RefusedError(f"there was no table {schema}.{name} in {database} then; there were: {there or 'none'}")
    copy = f"{SCHEMA}.{name}_{datetime.now(UTC).astimezone():%Y%m%d_%H%M%S}"
    # A copy without constraints, defaults or owner: it has to fit into whatever the schema is today.
    scratch.psql(
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", f"CREATE TABLE {copy} AS TABLE {schema}.{name}", database=database
    )
    rows = int(scratch.psql(f"SELECT count(*) FROM {copy}", database=database))
    say(f"{rows} rows go to {copy}")
    postgres.query(primary, f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", database=database)
    dump = scratch.client("pg_dump", f"--dbname={database}", "--no-owner", "--no-privileges", f"--table={copy}")
    load = [BIN / "psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "--single-transaction", *primary.address(database)]
    if complaint := pipe(dump, load, source_user="postgres", sink_user="postgres"):
        raise ScratchError(f"{copy} was not brought over: {complaint}")
    return copy, rows
