"""`luckygas backup`, `backups`: taking, proving and listing. Exit codes: 0 good, 1 warning or refused, 2 critical."""

import argparse
import contextlib
import json
import time

from appliance.backup import (
    configuration,
    copying,
    dump,
    listing,
    metrics,
    pgbackrest,
    proof,
    record,
    restore_commands,
    sealed,
    taking,
    watch,
)
from appliance.backup.archive import ArchiveError
from appliance.backup.bucket import Bucket, BucketError
from appliance.backup.pgbackrest import FULL, BackRestError
from appliance.backup.record import BACKUP, COPY, DUMP, LOCAL, PROOF, S3, Record
from appliance.backup.scratch import ScratchError
from appliance.database.cluster import Cluster
from appliance.database.postgres import QueryError
from appliance.database.settings import Instance, Settings
from appliance.database.state import NoStateError, Store
from appliance.output import CRITICAL, OK, RefusedError, refused, say
from appliance.system import BusyError, end_at_signals

DUE = "due"
REFUSALS = (
    ArchiveError,
    BucketError,
    BackRestError,
    BusyError,
    NoStateError,
    QueryError,
    RefusedError,
    ScratchError,
    proof.NotProvenError,
    sealed.SealError,
    taking.RoomError,
)


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the command line."""
    text = (
        "take a backup; dump: a dump of each database, and the configuration; prove: restore the newest backup and look"
        " at it; copy: bring the bucket in line"
    )
    parser = verbs.add_parser("backup", help=text, description=text)
    parser.add_argument(
        "act", nargs="?", choices=["dump", "prove", "copy", "watch"], help="(watch: run every minute by systemd)"
    )
    parser.add_argument("--full", action="store_true", help="a full one, whenever the last one was")
    parser.add_argument("--to-s3", action="store_true", help="and copy it to the bucket at once")
    parser.add_argument(
        "--from",
        dest="source",
        choices=[LOCAL, S3, DUE],
        default=LOCAL,
        help=f"prove the one in the bucket ({DUE}: that once a week)",
    )
    parser.set_defaults(run=run, function=back_up)
    text = "list the backups: when, how large, and which of them was proven"
    parser = verbs.add_parser("backups", help=text, description=text)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run, function=show)
    restore_commands.add(verbs, run)


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused says why."""
    end_at_signals()
    try:
        return arguments.function(arguments, Store(), Cluster(Settings.load()))
    except REFUSALS as problem:
        return refused(arguments, problem)


def back_up(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Take a backup or a dump, prove one, or look after everything."""
    if arguments.act == "dump":
        return write_dumps(arguments, store, cluster)
    if arguments.act == "prove":
        return prove(arguments, store, cluster)
    if arguments.act == "copy":
        return copy()
    if arguments.act == "watch":
        if view := watch.watch(store, cluster, say):
            metrics.write(view)
        return OK
    with record.work(BACKUP, time.time()):
        backups = pgbackrest.info()
        kind = FULL if arguments.full else taking.kind_due(backups, time.time(), Record.load().refuted(backups))
        backup = taking.take(kind, watch.leader(store, cluster), say)
    took = backup.ended - backup.began
    say(f"{backup.label}: {listing.size(backup.size)} stored in {listing.size(backup.stored)} after {took} s")
    metrics.write(watch.look(watch.leader(store, cluster)))
    return copy() if arguments.to_s3 else OK


def write_dumps(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Write what does not depend on the repository: the configuration first, since it asks nobody."""
    primary, now = watch.leader(store, cluster), time.time()
    with record.work(DUMP, now):
        configuration.take(now)
        proofs = dump.take(cluster, primary, say)
        sealed.expire(now, say)
        with record.changing() as remembered:
            remembered.proofs += proofs
    metrics.write(watch.look(primary))
    return copy() if arguments.to_s3 else OK


def copy() -> int:
    """Bring the bucket in line with the repository. What fails here holds nothing else up."""
    bucket = copying.open_bucket()
    with record.work(COPY, time.time()):
        began = time.time()
        labels = copying.copy(bucket, say) + sealed.copy(bucket, began, say)
        for prefix in (copying.PREFIX, sealed.PREFIX):
            bucket.abort_abandoned(prefix)
        with record.changing() as remembered:
            remembered.copied, remembered.copied_at = labels, began
    return OK


def prove(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Prove the newest backup, here or in the bucket; at night the one here, and that of the bucket when it is due."""
    primary = watch.leader(store, cluster)
    # Where there is none, nothing was begun that could fail.
    bucket = copying.open_bucket() if arguments.source == S3 else None
    with record.work(PROOF, time.time()):
        good = [prove_one(primary, cluster, bucket)]
        if arguments.source == DUE and proof.is_distant_due(Record.load(), time.time()):
            try:
                good.append(prove_one(primary, cluster, copying.open_bucket()))
            except (BucketError, BackRestError, BusyError, taking.RoomError) as problem:
                say(f"the one in the bucket was not proven: {problem}")
    metrics.write(watch.look(primary))
    return OK if all(good) else CRITICAL


def prove_one(primary: Instance | None, cluster: Cluster, bucket: Bucket | None) -> bool:
    """Prove the newest backup, of the bucket if there is one, and remember what came of it."""
    with copying.fetching() if bucket else contextlib.nullcontext():
        verdict = proof.prove(primary, cluster.settings.databases, bucket, say)
    with record.changing() as remembered:
        remembered.proofs.append(verdict)
    if verdict.good:
        say(f"{verdict.label} ({verdict.repository}) is proven: {verdict.seconds:.0f} s to a server that answers")
    else:
        say(f"{verdict.label} ({verdict.repository}) is NOT good: {verdict.why}")
    return verdict.good


def show(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Show what there is."""
    found = listing.report(watch.look(watch.leader(store, cluster)), time.time())
    say(json.dumps(found.data) if arguments.json else listing.human(found))
    return found.severity
