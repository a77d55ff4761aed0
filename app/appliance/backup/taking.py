"""Taking a backup: which kind, whether there is room, and what has to go for it."""

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from appliance.backup import archive, pgbackrest
from appliance.backup.pgbackrest import DIFFERENTIAL, FULL, Backup, Say
from appliance.backup.places import REPOSITORY, standing
from appliance.database.settings import Instance

# A little less than a week, so that the weekly one keeps its hour.
FULL_EVERY_SECONDS = 6.5 * 86400
RESERVE_BYTES = 512 << 20
# Of the file system. What is older goes before its time when the repository would take more.
MAX_SHARE = 0.5


class RoomError(Exception):
    """The disk is too short."""


def kind_due(backups: Iterable[Backup], now: float, refuted: Collection[str] = ()) -> str:
    """Return the kind of backup that it is time for; nothing is to build on one that was `refuted` by its proof."""
    fulls = [backup.ended for backup in backups if backup.kind == FULL and backup.label not in refuted]
    return DIFFERENTIAL if fulls and now - max(fulls) < FULL_EVERY_SECONDS else FULL


def require(path: Path, needed: int, what: str, then: str = "it is then done by itself") -> None:
    """Refuse what would fill the disk, and say what follows when there is room."""
    free = shutil.disk_usage(standing(path)).free
    if free < needed + RESERVE_BYTES:
        raise RoomError(
            f"{what} needs {needed + RESERVE_BYTES >> 20} MB in {path}, {free >> 20} MB are free; make room, {then}"
        )


def expected(kind: str, backups: list[Backup]) -> int:
    """Return what a backup of this kind will take: a little more than the last one of it did."""
    before = [backup.stored for backup in backups if backup.kind == kind]
    whole = [backup.stored for backup in backups if backup.kind == FULL]
    return int(1.2 * (before or whole or [0])[-1])


def too_many(backups: list[Backup], used: int, limit: float) -> list[str]:
    """Return the full backups, oldest first, without which the repository keeps within its limit; one stays."""
    going = []
    fulls = [backup for backup in backups if backup.kind == FULL]
    for backup in fulls[:-1]:
        if used <= limit:
            break
        used -= sum(one.stored for one in backups if one.label == backup.label or backup.label in one.builds_on)
        going.append(backup.label)
    return going


def size(file: Path) -> int | None:
    """Return a file's size, if it is still there."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return None


def bytes_below(directory: Path) -> int:
    """Return what the files below a directory take; some may come and go meanwhile."""
    return sum(size(path) or 0 for path in directory.rglob("*") if path.is_file())


def take(kind: str, primary: Instance | None, say: Say) -> Backup:
    """Take a backup; returns it."""
    before = pgbackrest.info()
    require(REPOSITORY, expected(kind, before), f"the {kind} backup")
    if primary:
        archive.write_canary(primary)
    say(f"{'full' if kind == FULL else 'differential'} backup")
    pgbackrest.backup(kind, say)
    backups = pgbackrest.info()
    for label in too_many(backups, bytes_below(REPOSITORY), MAX_SHARE * shutil.disk_usage(REPOSITORY).total):
        say(f"{label} goes before its time: the repository takes more than half of the disk")
        pgbackrest.expire(label, say)
    return backups[-1]
