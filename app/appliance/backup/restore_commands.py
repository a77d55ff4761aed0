"""`luckygas restore` and `restore-table`: what is to be done is shown first, and nothing that runs goes unasked."""

import argparse
import shutil
import socket
import time
from datetime import datetime

from appliance.backup import adoption, copying, dump, restore, sealed, table, taking, watch
from appliance.backup.places import FETCHED, REPOSITORY, SCRATCH, put_aside
from appliance.backup.record import DUMP, LOCAL, S3
from appliance.backup.restore import Target
from appliance.backup.scratch import Scratch
from appliance.backup.sealed import Sealed
from appliance.database.cluster import Cluster
from appliance.database.settings import Instance
from appliance.database.state import Store
from appliance.output import OK, RefusedError, local, say

COPY = Scratch("copy")


def moment(text: str) -> datetime:
    """Read a moment; without a zone it is the machine's own."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like '2026-11-24 14:05'") from None


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how far back."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--to", type=moment, metavar="TIME", help="as it was then, e.g. '2026-11-24 14:05:00'")
    group.add_argument("--latest", action="store_true", help="the newest that the archive holds")
    group.add_argument("--set", metavar="BACKUP", help="the end of this backup, or this dump")
    parser.add_argument("--from", dest="source", choices=[LOCAL, S3], default=LOCAL, help="where the backups are taken")


def add(verbs: argparse._SubParsersAction, run: object) -> None:
    """Add the verbs to the command line."""
    text = "restore the database: a copy to look at, or in the place of what runs"
    parser = verbs.add_parser("restore", help=text, description=text)
    add_target(parser)
    parser.add_argument("--into", choices=["scratch", "production"], default="scratch", help="scratch if not said")
    parser.add_argument("--yes-i-mean", metavar="MACHINE", help="the machine's name, instead of being asked for it")
    parser.set_defaults(run=run, function=bring_back)
    text = "restore one table, beside the one that is there"
    parser = verbs.add_parser("restore-table", help=text, description=text)
    parser.add_argument("table", help="NAME or SCHEMA.NAME")
    add_target(parser)
    parser.add_argument("--database", help="the first one if not said")
    parser.set_defaults(run=run, function=bring_back_table)
    text = "remove what restores left: the copy to look at, or what was put aside for restored data"
    parser = verbs.add_parser("restore-discard", help=text, description=text)
    parser.add_argument("what", choices=["scratch", "old"])
    parser.add_argument("--yes-i-mean", metavar="MACHINE", help="the machine's name, instead of being asked for it")
    parser.set_defaults(run=run, function=discard)


def choose(arguments: argparse.Namespace) -> Target:
    """Say which backup leads where."""
    if arguments.source == S3:
        copying.fetch_information(copying.open_bucket())
    repository = FETCHED if arguments.source == S3 else REPOSITORY
    target = restore.choose(moment=arguments.to, label=arguments.set, now=time.time(), repository=repository)
    say(f"from {target.backup.label} of {local(target.backup.ended)}, to {target.words}")
    return target


def fetch(target: Target, *, whole: bool = False) -> None:
    """Bring here what is needed of the bucket, or all of it."""
    if target.repository == FETCHED:
        taking.require(FETCHED, target.backup.size, "what is fetched from the bucket")
        copying.fetch(copying.open_bucket(), None if whole else target.backup, say)


def confirm(arguments: argparse.Namespace) -> None:
    """Have the machine's name typed: it is the one thing that differs from the machine that was meant."""
    name = socket.gethostname()
    typed = arguments.yes_i_mean or input(f"Type this machine's name to go on ({name}): ").strip()
    if typed != name:
        raise RefusedError(f"this machine is {name}, not {typed or 'nothing'}; nothing was changed")


def bring_back(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Restore the database."""
    if arguments.into == "scratch":
        with copying.fetching():
            stand(COPY, arguments, watch.leader(store, cluster))
        say(
            f"A copy stands apart from everything: psql -h {COPY.sockets} -U postgres luckygas\n"
            f"It goes by: luckygas restore-discard scratch"
        )
        return OK
    if sealed.is_label(arguments.set):
        raise RefusedError(
            f"a dump does not take the place of what runs. Have a copy of it to look at, without --into; "
            f"or bring back its tables: luckygas restore-table NAME --set {arguments.set}"
        )
    return into_production(arguments, store, cluster)


def stand(scratch: Scratch, arguments: argparse.Namespace, primary: Instance | None) -> str:
    """Have a throw-away server hold what was asked for; returns what that is."""
    if sealed.is_label(arguments.set):
        dump.restore(scratch, find_dump(arguments), say)
        return arguments.set
    target = choose(arguments)
    fetch(target)
    restore.prepare(scratch, target, primary, say)
    scratch.promote()
    return target.words


def find_dump(arguments: argparse.Namespace) -> Sealed:
    """Return the dump that was named, from here or from the bucket."""
    one = sealed.find(arguments.set, copying.open_bucket() if arguments.source == S3 else None, FETCHED)
    if one.kind != DUMP:
        raise RefusedError(f"{one.label} is no dump but a configuration; to open it: gpg --decrypt FILE | tar -xz")
    # It is compressed, and has no indexes.
    taking.require(SCRATCH, 10 * one.size, f"a server with what is in {one.label}")
    return one


def into_production(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Have restored data lead."""
    with copying.fetching():
        target = choose(arguments)
        name = restore.refuse_unless_possible(store.load(), cluster)
        if is_foreign := adoption.is_foreign(target):
            adoption.refuse_unless_adoptable()
        others = ", ".join(one for one in cluster.instances if one != name)
        say(
            f"{socket.gethostname()} goes back to {target.words}; what was written after that is lost to it:\n"
            f"  1  a copy is restored and replayed while everything goes on\n"
            f"  2  clients wait, {name} leads on the copy; its old data is put aside and kept\n"
            f"  3  {others} become copies of it; pool, repmgr and archive follow"
        )
        confirm(arguments)
        scratch = Scratch("production")
        try:
            fetch(target, whole=is_foreign)
            primary = watch.leader(store, cluster)
            restore.prepare(scratch, target, primary, say)
            same = restore.has_same_passwords(scratch, primary)
            began = time.monotonic()
            _, kept = restore.take_over(store, cluster, scratch, target.words, say)
            if is_foreign:  # at once: until then no WAL of what leads now is archived
                adoption.adopt(target.repository, say)
            if not same:
                restore.keep_passwords(say)
                restore.restart_pool(say)
            say(f"clients waited for {time.monotonic() - began:.1f} s at most")
        finally:
            scratch.discard()
        restore.bring_back(store, cluster, say)
    say(f"Done. The old data is in {kept}; it goes by: luckygas restore-discard old" if kept.exists() else "Done.")
    return OK


def bring_back_table(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Restore one table."""
    table.parse(arguments.table)
    primary = watch.leader(store, cluster)
    if primary is None:
        raise RefusedError("no instance leads, so there is nowhere to put it; see: luckygas db status")
    database = arguments.database or cluster.settings.databases[0]
    scratch = Scratch("table")
    with copying.fetching():
        try:
            words = stand(scratch, arguments, primary)
            copy, rows = table.bring(scratch, primary, database, arguments.table, say)
        finally:
            scratch.discard()
    say(f"{arguments.table} of {words}: {rows} rows, as {copy} in {database}")
    return OK


def discard(arguments: argparse.Namespace, _: Store, __: Cluster) -> int:
    """Remove what restores left."""
    with copying.fetching():
        if arguments.what == "scratch":
            COPY.discard()
            return OK
        kept = put_aside()
        say("\n".join(str(directory) for directory in kept) or "Nothing is kept.")
        if kept:
            confirm(arguments)
            for directory in kept:
                shutil.rmtree(directory)
    return OK
