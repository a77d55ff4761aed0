"""Logical dumps: they outlive what is broken in the files of a database, and move to another version of PostgreSQL.

A dump counts when it was restored into an empty server and every table had as many rows as when it was written.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.backup import sealed, taking
from appliance.backup.pgbackrest import Say
from appliance.backup.places import SCRATCH
from appliance.backup.proof import COUNT, TABLES, count
from appliance.backup.record import DUMP, Proof
from appliance.backup.scratch import Scratch
from appliance.backup.sealed import Sealed, SealError
from appliance.database import postgres
from appliance.database.cluster import Cluster
from appliance.database.settings import BIN, Instance
from appliance.output import RefusedError
from appliance.system import begin

END = "that is all"


@dataclass(frozen=True)
class Snapshot:
    """One moment of a database, which pg_dump sees as well."""

    session: subprocess.Popen[str]

    def ask(self, statement: str) -> list[str]:
        """Return the rows of a query."""
        self.session.stdin.write(f"{statement};\n\\echo {END}\n")
        self.session.stdin.flush()
        rows = []
        for line in self.session.stdout:
            if line.strip() == END:
                return rows
            rows.append(line.strip())
        raise SealError(f"the session ended: {' '.join(rows)}")

    def rows(self) -> dict[str, int]:
        """Count the rows of every table."""
        return {table: int(self.ask(COUNT.format(table=table))[0]) for table in self.ask(TABLES.strip())}


@contextlib.contextmanager
def snapshot(instance: Instance, database: str) -> Iterator[Snapshot]:
    """Hold a moment for as long as it is needed."""
    command = [BIN / "psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", *instance.address(database)]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with begin(command, user="postgres", text=True, **streams) as session:
        one = Snapshot(session)
        one.ask("BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0")
        yield one


def sources(cluster: Cluster, primary: Instance) -> list[Instance]:
    """Return where to dump: a standby that is up to date; where replay got in its way, the one that leads."""
    readers = cluster.readers(primary.name, cluster.look())
    return [cluster.instances[name] for name in readers[:1]] + [primary]


def take(cluster: Cluster, primary: Instance | None, say: Say) -> list[Proof]:
    """Dump every database; returns what each came to."""
    if primary is None:
        raise RefusedError("no instance leads, so there is nothing to dump; see: luckygas db status")
    return [take_one(cluster, primary, database, say) for database in cluster.settings.databases]


def take_one(cluster: Cluster, primary: Instance, database: str, say: Say) -> Proof:
    """Dump one database, and restore that."""
    size = int(postgres.query(primary, f"SELECT pg_database_size('{database}')", timeout=60)[0][0])
    # A restored copy, WAL of that, and the file.
    taking.require(SCRATCH, 2 * size + (1 << 29), f"the dump of {database}")
    now = time.time()
    with sealed.sealing(DUMP, database, now) as one:
        for source in sources(cluster, primary):
            try:
                rows = write(source, one, say)
                break
            except SealError as problem:
                if source == primary:
                    raise
                say(f"once more, from the one that leads: {problem}")
        proof = prove(one, rows, say)
    say(f"{proof.label} is proven: {proof.rows} rows restored in {proof.seconds:.0f} s")
    return proof


def write(source: Instance, one: Sealed, say: Say) -> dict[str, int]:
    """Write a dump; returns the rows of each table in it."""
    say(f"dumping {one.subject} from {source.name}")
    with snapshot(source, one.subject) as moment:
        name = moment.ask("SELECT pg_export_snapshot()")[0]
        options = ["--format=custom", "--compress=zstd:3", f"--snapshot={name}"]
        sealed.seal(one.file, [BIN / "pg_dump", *options, *source.address(one.subject)], user="postgres")
        return moment.rows()


def prove(one: Sealed, wrote: dict[str, int], say: Say) -> Proof:
    """Restore a dump and compare the rows of every table."""
    scratch, began = Scratch("dump"), time.time()
    try:
        restore(scratch, one, say)
        seconds = time.time() - began
        rows = count(scratch, one.subject)
    finally:
        scratch.discard()
    if rows != wrote:
        differing = [table for table in sorted({*wrote, *rows}) if rows.get(table) != wrote.get(table)]
        raise SealError(f"the dump of {one.subject} was restored with other rows: {', '.join(differing)}")
    return Proof(
        one.label,
        time.time(),
        good=True,
        seconds=round(seconds, 1),
        behind_seconds=round(began - one.at, 1),
        rows=sum(rows.values()),
        repository=DUMP,
    )


def restore(scratch: Scratch, one: Sealed, say: Say) -> None:
    """Have a server of its own hold what is in a dump."""
    say("restoring it into an empty server")
    scratch.initialize()
    scratch.psql(f"CREATE DATABASE {one.subject}")
    # Whom tables belong to is not looked at, and the empty server knows none of the roles.
    command = scratch.client("pg_restore", "--exit-on-error", "--no-owner", "--no-acl", f"--dbname={one.subject}")
    sealed.unseal(one.file, command, user="postgres")
