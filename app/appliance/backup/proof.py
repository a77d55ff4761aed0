"""The nightly proof: the newest backup and its WAL become a server, and what is in it is looked at."""

import time
from dataclasses import dataclass

from appliance.backup import archive, pgbackrest, taking
from appliance.backup.archive import Archive
from appliance.backup.pgbackrest import BackRestError, Backup, Say
from appliance.backup.places import SCRATCH
from appliance.backup.record import Proof
from appliance.backup.scratch import Scratch, ScratchError
from appliance.database import postgres
from appliance.database.settings import Instance
from appliance.database.system import run

LATEST = ("--type=standby",)
# The archive is at most a minute behind, and the canary another one.
MAX_BEHIND_SECONDS = 300.0
# Tables may shrink while the proof is at work: so much is no loss.
SLACK_SHARE, SLACK_ROWS = 0.01, 100
TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(relname) FROM pg_stat_user_tables
WHERE schemaname NOT IN ('repmgr') ORDER BY 1
"""
COUNT = "SELECT count(*) FROM {table}"


class NotProvenError(Exception):
    """The backup is not what it should be; the message says what is wrong."""


@dataclass
class Findings:
    """What the restored copy showed."""

    seconds: float = 0.0
    behind_seconds: float = 0.0
    rows: int = 0


def needed(backup: Backup) -> int:
    """Return the room that a restored copy takes: the data, and WAL while it is replayed."""
    return int(1.1 * backup.size) + (1 << 29)


def prove(primary: Instance | None, databases: tuple[str, ...], say: Say) -> Proof:
    """Prove the newest backup; the verdict may be bad. Raises when there could be none."""
    backups = pgbackrest.info()
    if not backups:
        raise NotProvenError("there is no backup; to take one now: luckygas backup")
    backup = backups[-1]
    taking.require(SCRATCH, needed(backup), f"the proof of {backup.label}")
    began, findings, why = time.time(), Findings(), ""
    scratch = Scratch("proof")
    try:
        examine(scratch, backup, primary, databases, findings, say)
    except (NotProvenError, BackRestError, ScratchError) as problem:
        why = str(problem)
    finally:
        scratch.discard()
    return Proof(backup.label, began, not why, findings.seconds, findings.behind_seconds, findings.rows, why)


def examine(  # noqa: PLR0913, PLR0917 - one walk over all that is compared
    scratch: Scratch,
    backup: Backup,
    primary: Instance | None,
    databases: tuple[str, ...],
    findings: Findings,
    say: Say,
) -> None:
    """Restore and look; what is wrong is raised, what was measured is noted."""
    if gaps := archive.missing(Archive.look().segments, backup.first_segment):
        raise NotProvenError(f"WAL is missing from the archive: {archive.named(gaps)}")
    before = count_live(primary, databases)
    began = time.time()
    replayed = scratch.restore(backup.label, LATEST, say)
    scratch.promote()
    findings.seconds = round(time.time() - began, 1)
    canary = float(scratch.psql("SELECT coalesce(extract(epoch FROM max(at)), 0) FROM luckygas_canary"))
    findings.behind_seconds = round(max(0.0, began - max(canary, replayed)), 1)
    say(f"it answers after {findings.seconds:.0f} s and is {findings.behind_seconds:.0f} s behind")
    if began - canary > MAX_BEHIND_SECONDS:
        raise NotProvenError(
            f"the newest canary in it was written {began - canary:.0f} s before the restore began: WAL was not archived "
            f"or not replayed to its end ({scratch.last_words()})"
        )
    check_pages(scratch, say)
    findings.rows = compare(scratch, databases, before, count_live(primary, databases))
    say(f"{findings.rows} rows in {len(before)} tables are as they should be")


def check_pages(scratch: Scratch, say: Say) -> None:
    """Have PostgreSQL's own checker read every table and index."""
    say("pg_amcheck reads every table and index")
    checker = run(scratch.client("pg_amcheck", "--all", "--install-missing", "--no-strict-names"))
    if checker.returncode:
        told = (checker.stdout + checker.stderr).strip().splitlines()
        raise NotProvenError(f"pg_amcheck: {' '.join(told[:3])}")


def count_live(primary: Instance | None, databases: tuple[str, ...]) -> dict[str, int]:
    """Count the rows of every table on the one that leads; nothing when nobody does."""
    counted = {}
    for database in databases if primary else ():
        for (table,) in postgres.query(primary, TABLES, database=database, timeout=60):
            rows = postgres.query(primary, COUNT.format(table=table), database=database, timeout=3600)
            counted[f"{database}: {table}"] = int(rows[0][0])
    return counted


def compare(scratch: Scratch, databases: tuple[str, ...], before: dict[str, int], after: dict[str, int]) -> int:
    """Refuse a copy whose tables hold fewer or more rows than the live ones did meanwhile; return the sum."""
    held = {}
    for database in databases:
        for table in scratch.psql(TABLES, database=database).splitlines():
            held[f"{database}: {table}"] = int(scratch.psql(COUNT.format(table=table), database=database))
    for table in before.keys() & after.keys():
        low, high = sorted((before[table], after[table]))
        slack = SLACK_ROWS + SLACK_SHARE * high
        rows = held.get(table)
        if rows is None or not low - slack <= rows <= high + slack:
            raise NotProvenError(f"table {table} has {rows} rows in the copy and {low} to {high} in the original")
    return sum(held.values())
