"""Where things lie, and what they are called."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

STANZA = "luckygas"
REPOSITORY = Path("/var/lib/pgbackrest")
STATE_DIRECTORY = Path("/var/lib/luckygas/backup")
METRICS_FILE = Path("/var/lib/prometheus/node-exporter/luckygas_backup.prom")
SCRATCH = Path("/var/lib/postgresql/scratch")  # beside the instances' data, so that a restored directory only moves
SEGMENT_BYTES = 16 << 20
KEPT = Path("/var/lib/postgresql/before-restore-")  # and the time: what a restore put aside
KEPT_REPOSITORY = Path("/var/lib/pgbackrest-before-")  # likewise
FETCHED = Path("/var/lib/pgbackrest-fetched")  # a repository that was brought back from a bucket
SEALED = Path("/var/lib/luckygas/sealed")  # dumps and the configuration, encrypted
ANSWERS = Path("/var/lib/luckygas/answers")  # the operator's, and the secrets: by these the machine was made
PASSPHRASE_FILE = Path("/etc/luckygas/backup_passphrase")


def make(directory: Path, mode: int) -> None:
    """Make a directory of PostgreSQL's user where there is none: a disk may have been lost with all that was on it."""
    if directory.exists():
        return
    make(directory.parent, 0o755)
    directory.mkdir(mode=mode)
    shutil.chown(directory, "postgres", "postgres")


def standing(place: Path) -> Path:
    """Return a place, or what it will be made in: of that the disk is known."""
    return next(one for one in (place, *place.parents) if one.exists())


def aside(kept: Path) -> Path:
    """Return where something is put aside now, from the beginning of such names."""
    return kept.with_name(f"{kept.name}{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}")


def put_aside() -> list[Path]:
    """Return what earlier restores put aside: data directories, and the repository that a new machine had begun."""
    return sorted(place for kept in (KEPT, KEPT_REPOSITORY) for place in kept.parent.glob(f"{kept.name}*"))
