"""The nightly proof: the newest backup and its WAL become a server, and what is in it is looked at."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from appliance.backup import archive, copying, pgbackrest, taking
from appliance.backup.archive import Archive
from appliance.backup.bucket import Bucket
from appliance.backup.lineage import number
from appliance.backup.pgbackrest import BackRestError, Backup, Say
from appliance.backup.places import FETCHED, REPOSITORY, SCRATCH, SEGMENT_BYTES
from appliance.backup.record import LOCAL, S3, Proof, Record
from appliance.backup.scratch import Scratch, ScratchError
from appliance.database import postgres
from appliance.database.postgres import QueryError
from appliance.database.settings import Instance
from appliance.system import run

# The archive is at most a minute behind, and the canary another one; the bucket follows every five minutes.
MAX_BEHIND_SECONDS = {LOCAL: 300.0, S3: 900.0}
DISTANT_EVERY_SECONDS = 6.5 * 86400
# Tables may shrink while the proof is at work: so much is no loss.
SLACK_SHARE, SLACK_ROWS = 0.01, 100
TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(relname) FROM pg_stat_user_tables
WHERE schemaname <> 'repmgr' ORDER BY 1
"""
COUNT = "SELECT count(*) FROM {table}"
MADE = "SELECT xmin::text FROM pg_class WHERE oid = '{table}'::regclass"
NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text"
TRANSACTIONS = 1 << 32  # their numbers begin anew after so many
CANARY = "SELECT coalesce(extract(epoch FROM max(at)), 0) FROM luckygas_canary"
# The number of the segment that holds the last byte that was replayed.
REACHED = f"SELECT trunc((pg_last_wal_replay_lsn() - '0/1') / {SEGMENT_BYTES})"


class NotProvenError(Exception):
    """The backup is not what it should be; the message says what is wrong."""


def needed(backup: Backup) -> int:
    """Return the room that a restored copy takes: the data, and WAL while it is replayed."""
    return int(1.1 * backup.size) + (1 << 29)


def count(scratch: Scratch, database: str) -> dict[str, int]:
    """Count the rows of every table of a database on a throw-away server."""
    tables = scratch.psql(TABLES, database=database).splitlines()
    return {table: int(scratch.psql(COUNT.format(table=table), database=database)) for table in tables}


def is_distant_due(record: Record, now: float) -> bool:
    """Tell whether it is time to prove what is in the bucket as well: once a week."""
    good = record.last_good(S3)
    return bool(record.copied) and (good is None or now - good.at >= DISTANT_EVERY_SECONDS)


def newest(backups: list[Backup], held: Archive) -> Backup:
    """Return the newest backup of today's data."""
    past = [backup for backup in backups if held.leads_here(backup)]
    if not past:
        raise NotProvenError("there is no backup of today's data; to take one now: luckygas backup")
    return past[-1]


def prove(primary: Instance | None, databases: tuple[str, ...], bucket: Bucket | None, say: Say) -> Proof:
    """Prove the newest backup, of the bucket if there is one; the verdict may be bad. Raises when there is none."""
    repository = FETCHED if bucket else REPOSITORY
    backups = copying.fetch_information(bucket) if bucket else pgbackrest.info()
    backup = newest(backups, Archive.look(repository))
    taking.require(SCRATCH, needed(backup) + (backup.size if bucket else 0), f"the proof of {backup.label}")
    if bucket:
        copying.fetch(bucket, backup, say)
    held = Archive.look(repository)
    proof = Proof(backup.label, time.time(), good=False, repository=S3 if bucket else LOCAL)
    examination = Examination(Scratch("proof"), repository, held, backup, primary, databases, proof, say)
    try:
        examination.run()
        proof.good = True
    except (NotProvenError, BackRestError, ScratchError) as problem:
        if not bucket and Archive.look(repository).lineage != held.lineage:
            raise archive.ArchiveError(
                f"another instance, or restored data, began to lead meanwhile: {problem}"
            ) from None
        proof.why = str(problem)
    finally:
        examination.scratch.discard()
    return proof


@dataclass
class Examination:
    """One walk over a restored copy. What is measured goes into the proof, what is wrong is raised."""

    scratch: Scratch
    repository: Path
    held: Archive
    backup: Backup
    primary: Instance | None
    databases: tuple[str, ...]
    proof: Proof
    say: Say
    stale: str = ""
    next: int = 0

    def run(self) -> None:
        """Restore, then look ever closer."""
        path = self.held.path(self.backup.first_segment)
        if gaps := [segment for segment in path if segment not in self.held.segments]:
            raise NotProvenError(f"WAL is missing from the archive: {archive.named(gaps)}")
        before = self.count_live()
        self.catch_up()
        reached = self.restore()
        self.check_wal(path)
        last = number(path[-1] if path else self.backup.last_segment)
        if reached < last:
            words = self.scratch.last_words()
            raise NotProvenError(f"WAL was not replayed beyond segment {reached:X} of {last:X}: {words}")
        if self.stale:
            raise NotProvenError(self.stale)
        self.check_pages()
        self.proof.rows = self.compare(before, self.count_live())
        self.say(f"{self.proof.rows} rows in {len(before)} tables are as they should be")

    def catch_up(self) -> None:
        """Have the archive hold what was counted: a copy that is older would be blamed for what came since."""
        if self.primary and self.proof.repository == LOCAL:
            try:
                archive.flush(self.primary)
            except (archive.ArchiveError, QueryError) as problem:
                self.say(f"{problem}; what was archived is proven all the same")

    def restore(self) -> int:
        """Have a server on the copy; returns the number of the last segment that it replayed."""
        began = time.time()
        replayed = self.scratch.restore(self.backup.label, pgbackrest.LATEST, self.repository, self.say)
        reached = int(self.scratch.psql(REACHED))
        self.scratch.promote()
        self.next = int(self.scratch.psql(NEXT))  # before anything of ours is committed there
        self.proof.seconds = round(time.time() - began, 1)
        canary = float(self.scratch.psql(CANARY))
        self.proof.behind_seconds = round(max(0.0, began - max(canary, replayed)), 1)
        self.say(f"it answers after {self.proof.seconds:.0f} s and is {self.proof.behind_seconds:.0f} s behind")
        if began - canary > MAX_BEHIND_SECONDS[self.proof.repository]:
            self.stale = f"the newest canary in it was {began - canary:.0f} s old when the restore began"
        return reached

    def check_wal(self, path: list[str]) -> None:
        """Compare each segment with the digest in its name: a damaged one may look like the end of the WAL."""
        self.say(f"reading {len(path)} segments of WAL")
        with ThreadPoolExecutor(2) as readers:
            digests = readers.map(
                lambda segment: pgbackrest.digest_of(segment, self.scratch.data, self.repository), path
            )
            for segment, digest in zip(path, digests, strict=True):
                if digest != self.held.segments[segment]:
                    raise NotProvenError(f"segment {segment} is damaged: {digest}")

    def check_pages(self) -> None:
        """Have PostgreSQL's own checker read every table and index."""
        self.say("pg_amcheck reads every table and index")
        checker = run(self.scratch.client("pg_amcheck", "--all", "--install-missing"))
        if checker.returncode:
            raise NotProvenError(f"pg_amcheck: {' '.join((checker.stdout + checker.stderr).split())[:400]}")

    def count_live(self) -> dict[str, int]:
        """Count the rows of every table on the one that leads; nothing when nobody does."""
        counted = {}
        for database in self.databases if self.primary else ():
            for (table,) in postgres.query(self.primary, TABLES, database=database, timeout=60):
                rows = postgres.query(self.primary, COUNT.format(table=table), database=database, timeout=3600)
                counted[f"{database}: {table}"] = int(rows[0][0])
        return counted

    def count_copy(self) -> dict[str, int]:
        """Count the rows of every table in the copy."""
        return {
            f"{database}: {table}": rows
            for database in self.databases
            for table, rows in count(self.scratch, database).items()
        }

    def compare(self, before: dict[str, int], after: dict[str, int]) -> int:
        """Refuse a copy whose tables hold fewer or more rows than the live ones did meanwhile; return their sum."""
        held = self.count_copy()
        for table in before.keys() & after.keys():
            low, high = sorted((before[table], after[table]))
            slack = SLACK_ROWS + SLACK_SHARE * high
            rows = held.get(table)
            if rows is None and self.was_made_later(*table.split(": ", 1)):
                continue
            if rows is None or not low - slack <= rows <= high + slack:
                raise NotProvenError(f"table {table} has {rows} rows in the copy and {low} to {high} in the original")
        return sum(held.values())

    def was_made_later(self, database: str, table: str) -> bool:
        """Tell whether a transaction made a table to which the copy has not come: a bucket is some minutes behind.

        What was granted on since, or altered, counts as made then.
        """
        quoted = table.replace("'", "''")
        ((made,),) = postgres.query(self.primary, MADE.format(table=quoted), database=database, timeout=60)
        return (int(made) - self.next) % TRANSACTIONS < TRANSACTIONS // 2
