"""The ways back: a copy to look at, or the copy in the place of what runs.

The copy is restored and has replayed its WAL before anything that runs is touched. What is done to production then is
the second half of a failover to it, by the state machine that does every failover: whoever dies on the way, it goes on.
"""

import contextlib
import ctypes
import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from appliance.backup import archive, pgbackrest, taking
from appliance.backup.archive import Archive, ArchiveError
from appliance.backup.pgbackrest import Backup, Say
from appliance.backup.places import KEPT, REPOSITORY, SCRATCH, aside, make, standing
from appliance.backup.proof import needed
from appliance.backup.scratch import Scratch
from appliance.database import engine, postgres, processes, registry, supervisor, switchover
from appliance.database.cluster import Cluster
from appliance.database.postgres import QueryError
from appliance.database.settings import Instance
from appliance.database.state import FAILOVER, STABLE, State, Store
from appliance.output import RefusedError
from appliance.rotate import roles
from appliance.rotate.secrets import SECRETS
from appliance.system import run

RENAME_EXCHANGE = 2
AT_FDCWD = -100
START_PATIENCE_SECONDS = 300.0
TELL_SECONDS = 10.0
# At its target it waits. Without one it goes on looking for WAL, and is there when it has replayed what the copy had.
STANDING = "SELECT pg_get_wal_replay_pause_state(), pg_last_wal_replay_lsn()"
IS_THERE = """
SELECT CASE '{state}' WHEN 'paused' THEN pg_get_wal_replay_pause_state() = 'paused'
  ELSE pg_last_wal_replay_lsn() >= '{place}' END
"""
PASSWORDS = "SELECT md5(string_agg(rolname || coalesce(rolpassword, ''), ',' ORDER BY rolname)) FROM pg_authid"


@dataclass(frozen=True)
class Target:
    """Which backup, and how far its WAL is replayed."""

    backup: Backup
    options: tuple[str, ...]
    words: str
    repository: Path = REPOSITORY


def choose(*, moment: datetime | None, label: str | None, now: float, repository: Path) -> Target:
    """Return what leads to a moment, to the end of a backup, or to the newest there is."""
    backups, held = pgbackrest.info(repository), Archive.look(repository)
    past = [backup for backup in backups if held.leads_here(backup)]
    if label:
        return replace(at_the_end_of(backups, label), repository=repository)
    if not past:
        raise RefusedError("there is no backup of today's data; to take one now: luckygas backup")
    if moment:
        return replace(at(past, moment, now), repository=repository)
    return Target(past[-1], pgbackrest.LATEST, "the newest that the archive holds", repository)


def at_the_end_of(backups: list[Backup], label: str) -> Target:
    """Return what leads to the end of a backup, be it one that a restore left behind."""
    for backup in backups:
        if backup.label == label:
            return Target(backup, pgbackrest.CONSISTENT, f"the end of {label}")
    raise RefusedError(f"there is no backup {label}; see: luckygas backups")


def at(past: list[Backup], moment: datetime, now: float) -> Target:
    """Return what leads to a moment."""
    if moment.timestamp() > now:
        raise RefusedError(f"{moment:%Y-%m-%d %H:%M:%S %z} is yet to come")
    before = [backup for backup in past if backup.ended < moment.timestamp()]
    if not before:
        earliest = datetime.fromtimestamp(past[0].ended + 1, UTC).astimezone()
        raise RefusedError(f"the earliest moment that can be gone back to is {earliest:%Y-%m-%d %H:%M:%S %z}")
    return Target(before[-1], pgbackrest.until(moment), f"{moment:%Y-%m-%d %H:%M:%S.%f %z}")


def prepare(scratch: Scratch, target: Target, primary: Instance | None, say: Say) -> None:
    """Make the copy, and have it stand at its target."""
    taking.require(SCRATCH, needed(target.backup), "the restored copy")
    if primary and target.repository == REPOSITORY:
        say("archiving what was committed until now")
        try:
            archive.flush(primary)
        except (ArchiveError, QueryError) as problem:
            # A moment of the past may have been archived long ago; if it was not, the copy does not get there.
            if target.options == pgbackrest.LATEST:
                raise
            say(f"  {problem}; going on with what was archived before")
    scratch.restore(target.backup.label, target.options, target.repository, say)


def has_same_passwords(scratch: Scratch, primary: Instance | None) -> bool:
    """Tell whether the copy knows the same passwords, by the same secrets, as what runs."""
    return primary is not None and [[scratch.psql(PASSWORDS)]] == postgres.query(primary, PASSWORDS)


def keep_passwords(say: Say) -> None:
    """Give roles the passwords that their users have: the restored data may be from before those were replaced."""
    passwords = {one.role: one.value for one in SECRETS.values() if one.role and one.file.exists()}
    if passwords:
        say("the roles get the passwords of today")
        roles.give(passwords, wait=False)


def restart_pool(say: Say) -> None:
    """Have the pool forget by which secrets it let clients in: the restored ones may be others."""
    say("the pool starts anew: the restored data has other secrets of its passwords")
    run(["systemctl", "try-restart", "pgbouncer.service"], timeout=60)


def refuse_unless_possible(state: State, cluster: Cluster) -> str:
    """Return the instance that is to lead on restored data; refuse while somebody else is at work."""
    if state.phase == STABLE:
        name = state.primary
    elif state.phase == FAILOVER and not any(node.primary for node in cluster.look().values()):
        name = state.candidate or state.primary
    else:
        raise RefusedError(f"a {state.phase} is under way; it goes on by itself, or by: luckygas db reconcile")
    data = cluster.instances[name].data
    if data.exists() and data.stat().st_dev != standing(SCRATCH).stat().st_dev:
        raise RefusedError(f"{data} is a file system of its own, where a restored copy cannot simply take its place")
    return name


def take_over(store: Store, cluster: Cluster, scratch: Scratch, words: str, say: Say) -> tuple[State, Path]:
    """Have the copy lead in the place of what runs; returns the new state and where old data is kept, if any."""
    stood = scratch.psql(STANDING)
    scratch.stop()
    with store.lock():
        state = store.load()
        name = refuse_unless_possible(state, cluster)
        instance = cluster.instances[name]
        kept = aside(KEPT)
        scratch.data.rename(kept)
        fenced = {one: "its data is of before the restore" for one in cluster.instances if one != name}
        # From here on reconcile would finish it: with the old data before the exchange, with the restored after it.
        store.save(
            replace(
                state,
                phase=FAILOVER,
                candidate=name,
                preferred=None,
                quorum=False,
                fenced=fenced,
                since=cluster.now(),
                reason=f"restored to {words}",
            )
        )
        cluster.hold_clients()
        say("clients wait")
        for one in fenced:
            processes.fence(cluster.instances[one])
        with contextlib.suppress(RefusedError):
            switchover.stop(instance)
        processes.kill(instance)
        exchange(kept, instance.data)
        say(f"{name} starts on the restored data")
        try:
            processes.start(instance)
            wait_for_target(instance, stood)
        except BaseException:
            say("it does not: what was there before goes on")
            processes.kill(instance)
            if kept.exists():
                exchange(kept, instance.data)
                kept.rename(scratch.data)
            else:
                instance.data.rename(scratch.data)
            engine.advance(store, cluster, held=True)
            raise
        state = engine.advance(store, cluster, held=True)
    registry.record(cluster.settings, state)
    say(f"{state.primary} leads, clients go on")
    return state, kept


def exchange(restored: Path, data: Path) -> None:
    """Let two directories change their names in one step, so that there is no moment without data."""
    if not data.exists():
        make(data.parent, 0o755)
        restored.rename(data)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(restored), AT_FDCWD, os.fsencode(data), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(data))


def wait_for_target(instance: Instance, stood: str) -> None:
    """Wait until the instance stands where the copy stood."""
    state, place = stood.split("|")
    is_there = IS_THERE.format(state=state, place=place)
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while True:
        if postgres.psql(instance.port, is_there, timeout=2.0).stdout.strip() == "t":
            return
        if time.monotonic() > deadline:
            raise RefusedError(
                f"{instance.name} did not reach its target within {START_PATIENCE_SECONDS:g} s; "
                f"see: journalctl -u {instance.unit}"
            )
        time.sleep(0.1)  # the server has no event for "I am there"


def bring_back(store: Store, cluster: Cluster, say: Say) -> None:
    """Have every other instance stream again, and the archive go on from the new start."""
    state = store.load()
    supervisor.start_rejoins(state)
    told = time.monotonic()
    while waiting := [
        name for name in cluster.instances if name != state.primary and not is_back(store, cluster, name)
    ]:
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            say(f"  {', '.join(waiting)}: being copied")
        time.sleep(0.5)  # rejoins run in units of their own
    while not store.load().quorum:
        time.sleep(0.2)  # the supervisor finds out by looking
    say("every instance streams, and an acknowledged write is on two")
    archive.flush(cluster.instances[state.primary])


def is_back(store: Store, cluster: Cluster, name: str) -> bool:
    """Tell whether an instance streams, unfenced."""
    return name not in store.load().fenced and cluster.look_at(name).streams
