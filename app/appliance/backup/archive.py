"""The WAL in the repository: how new it is, whether any is missing, and what a failover left behind."""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.backup import pgbackrest
from appliance.backup.lineage import FIRST_TIMELINE, Lineage, position
from appliance.backup.pgbackrest import Backup
from appliance.backup.places import REPOSITORY, STANZA
from appliance.database import postgres
from appliance.database.settings import Instance

NAME = re.compile(r"([0-9A-F]{24})-([0-9a-f]{40})")
HISTORY = re.compile(r"([0-9A-F]{8})\.history")
DIRECTORY = REPOSITORY / "archive" / STANZA
MAX_NAMED = 5
CANARY = (
    "SET client_min_messages = warning",
    "CREATE TABLE IF NOT EXISTS luckygas_canary (at timestamptz PRIMARY KEY)",
    "DELETE FROM luckygas_canary WHERE at < clock_timestamp() - interval '1 day'",
    "INSERT INTO luckygas_canary VALUES (clock_timestamp())",
)
FLUSH_PATIENCE_SECONDS = 120.0


class ArchiveError(Exception):
    """WAL does not get into the archive, or is not there any more."""


@dataclass(frozen=True)
class Archive:
    """The segments that the repository holds, with their digests, and when the last one came."""

    segments: Mapping[str, str]
    newest: float | None
    lineage: Lineage
    histories: frozenset[str] = frozenset()
    """Timelines of which the archive holds the history."""

    @classmethod
    def look(cls, repository: Path = REPOSITORY) -> "Archive":
        """Look into the repository itself: it knows when nobody else answers."""
        directory = repository / "archive" / STANZA
        found = [(match, path) for path in directory.glob("*/*/*") if (match := NAME.match(path.name))]
        histories = {match[1]: path for path in directory.glob("*/*") if (match := HISTORY.match(path.name))}
        segments = {match[1]: match[2] for match, _ in found}
        # One that was begun after a change of leaders has no history before `heal`, and nothing from before it.
        lineage = Lineage(newest_timeline(segments))
        if histories:
            newest = max(histories)
            lineage = Lineage.read(newest, pgbackrest.read_file(histories[newest], repository))
        arrived = [at for _, path in found if (at := arrival(path)) is not None]
        return cls(segments, max(arrived, default=None), lineage, frozenset(histories))

    @property
    def unexplained(self) -> list[str]:
        """The history file that is not held, though segments of its timeline are."""
        newest = newest_timeline(self.segments)
        return [] if newest == FIRST_TIMELINE or newest in self.histories else [f"{newest}.history"]

    def path(self, first: str) -> list[str]:
        """Return the segments that lead from `first` to today, held or not."""
        return list(self.lineage.path(first, self.segments))

    def missing(self, first: str) -> list[str]:
        """Return those of them that ought to be there and are not."""
        return [segment for segment in self.path(first) if segment not in self.segments]

    def leads_here(self, backup: Backup) -> bool:
        """Tell whether a backup is part of today's past, not of what a restore left behind."""
        return self.lineage.holds(backup.last_segment[:8], position(backup.end))


def newest_timeline(segments: Iterable[str]) -> str:
    """Return the newest timeline of segments, by their names."""
    return max((segment[:8] for segment in segments), default=FIRST_TIMELINE)


def arrival(path: Path) -> float | None:
    """Return when a segment came; None for one that has expired meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def named(segments: list[str]) -> str:
    """Return a list of segments for a sentence."""
    return ", ".join(segments[:MAX_NAMED]) + (f" and {len(segments) - MAX_NAMED} more" if segments[MAX_NAMED:] else "")


def heal(instance: Instance, gaps: Iterable[str]) -> list[str]:
    """Have the primary archive what is not in the archive; returns what it still has of that.

    A standby marks what it received as done, since its primary archives. When that one dies first, nobody would. The
    last one of the old timeline has no mark when its end did not arrive, which after a switch holds nothing. The
    history of a timeline is archived once, so a repository that begins later would never have it.
    """
    directory = instance.data / "pg_wal"
    healed = []
    for segment in gaps:
        ready = directory / "archive_status" / f"{segment}.ready"
        done = ready.with_suffix(".done")
        if not (directory / segment).exists() or ready.exists():
            continue
        if done.exists():
            done.replace(ready)
        else:
            status = (directory / segment).stat()
            ready.touch(mode=0o600)
            os.chown(ready, status.st_uid, status.st_gid)
        healed.append(segment)
    return healed


def lost(instance: Instance, gaps: Iterable[str]) -> list[str]:
    """Return those segments that the primary has no more, so that they will never be archived."""
    return [segment for segment in gaps if not (instance.data / "pg_wal" / segment).exists()]


def write_canary(instance: Instance) -> None:
    """Write a row by which a restored copy shows how old it is; an idle database archives because of it."""
    postgres.query(instance, *CANARY, timeout=10)


def flush(instance: Instance) -> None:
    """Return when everything that was committed until now is in the archive."""
    write_canary(instance)
    segment = postgres.query(instance, "SELECT pg_walfile_name(pg_switch_wal())", timeout=10)[0][0]
    deadline = time.monotonic() + FLUSH_PATIENCE_SECONDS
    while not any(DIRECTORY.glob(f"*/{segment[:16]}/{segment}-*")):
        if time.monotonic() > deadline:
            raise ArchiveError(
                f"segment {segment} did not arrive in the archive within {FLUSH_PATIENCE_SECONDS:g} s; "
                f"see: journalctl -u {instance.unit}"
            )
        time.sleep(0.1)  # the archiver tells nobody


def waiting(instance: Instance) -> int:
    """Return how many segments wait to be archived."""
    return sum(1 for _ in (instance.data / "pg_wal/archive_status").glob("*.ready"))
