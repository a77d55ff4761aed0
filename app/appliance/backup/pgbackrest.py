"""pgBackRest behind one thin wall: nothing else of the program knows its options or its words."""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.backup.places import REPOSITORY, STANZA
from appliance.system import begin, run

Say = Callable[[str], None]
FULL, DIFFERENTIAL = "full", "diff"
TELL_SECONDS = 2.0
# How far a recovery goes. It then waits, as a standby does, for somebody to promote it.
LATEST = ("--type=standby",)
CONSISTENT = ("--type=immediate", "--target-action=pause", "--target-timeline=current")
PERCENT = re.compile(r", (\d+)\.\d+%\)")


class BackRestError(Exception):
    """pgBackRest failed; the message is its own."""


@dataclass(frozen=True)
class Backup:
    """One backup that is whole. Times in seconds since the epoch, sizes in bytes."""

    label: str
    kind: str
    began: int
    ended: int
    size: int  # of the database
    stored: int  # what it takes in the repository, beside those that it builds upon
    first_segment: str
    last_segment: str
    end: str  # where it is consistent, as PostgreSQL writes a place in the WAL
    builds_on: tuple[str, ...]
    broken_pages: bool


def follow(say: Say, *arguments: str) -> None:
    """Run pgBackRest as PostgreSQL's user, and tell how far it is; its complaint becomes the error."""
    command = ["pgbackrest", f"--stanza={STANZA}", "--log-level-console=detail", *arguments]
    told, complaints = time.monotonic(), []
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with begin(command, user="postgres", text=True, **streams) as process:
        for line in process.stdout or ():
            if (found := PERCENT.search(line)) and time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                say(f"  {found[1]} %")
            elif "WARN:" in line:
                say(f"  {line.strip()}")
            # What an error has to say may take several lines.
            if "ERROR:" in line or (complaints and line.startswith(" ")):
                complaints.append(line.split("ERROR: ", 1)[-1].strip())
    if process.returncode:
        raise BackRestError(" ".join(complaints) or f"pgbackrest ended with {process.returncode}")


def info(repository: Path = REPOSITORY) -> list[Backup]:
    """Return the backups that are whole, oldest first."""
    command = ["pgbackrest", f"--stanza={STANZA}", f"--repo1-path={repository}", "--output=json", "info"]
    result = run(command, user="postgres", timeout=120)
    try:
        stanza = json.loads(result.stdout)[0]
    except (ValueError, IndexError):
        raise BackRestError((result.stderr or result.stdout).strip() or "pgbackrest info said nothing") from None
    if stanza["status"]["code"] not in (0, 2):  # 2: there is no backup yet
        raise BackRestError(stanza["status"]["message"])
    return [read(one) for one in stanza["backup"]]


def read(told: dict) -> Backup:
    """Read one entry of pgBackRest's list."""
    return Backup(
        label=told["label"],
        kind=told["type"],
        began=told["timestamp"]["start"],
        ended=told["timestamp"]["stop"],
        size=told["info"]["size"],
        stored=told["info"]["repository"]["delta"],
        first_segment=told["archive"]["start"],
        last_segment=told["archive"]["stop"],
        end=told["lsn"]["stop"],
        builds_on=tuple(told["reference"] or ()),
        broken_pages=bool(told.get("error")),
    )


def read_file(path: Path, repository: Path = REPOSITORY) -> str:
    """Return what a small file of a repository says, decrypted."""
    command = ["pgbackrest", f"--repo1-path={repository}", "repo-get", str(path.relative_to(repository))]
    result = run(command, user="postgres", timeout=60)
    if result.returncode:
        raise BackRestError(" ".join(result.stderr.split()))
    return result.stdout


def digest_of(segment: str, directory: Path, repository: Path) -> str:
    """Return the SHA-1 of a segment as it comes out of the archive, or why it does not come out."""
    with tempfile.TemporaryDirectory() as place:
        shutil.chown(place, "postgres")
        file = Path(place) / segment
        where = [f"--stanza={STANZA}", f"--pg1-path={directory}", f"--repo1-path={repository}"]
        command = ["pgbackrest", *where, "archive-get", segment, file]
        result = run(command, user="postgres", timeout=120)
        if result.returncode:
            return " ".join((result.stdout + result.stderr).split())
        return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


def backup(kind: str, say: Say) -> None:
    """Take a backup, then let go of what is older than it has to be."""
    follow(say, f"--type={kind}", "backup")


def expire(label: str, say: Say) -> None:
    """Let go of one backup, and of those that build on it, before its time."""
    follow(say, f"--set={label}", "expire")


def until(moment: datetime) -> tuple[str, ...]:
    """Return the options of a recovery to a moment: what was committed then is in it, what came later is not."""
    return (
        "--type=time",
        f"--target={moment.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f+00')}",
        "--target-action=pause",
    )


def restore(label: str, directory: Path, target: Sequence[str], repository: Path, say: Say) -> None:
    """Restore a backup into an empty directory; the server that is started on it goes on to the target."""
    # The directory may move before the recovery is over.
    get = f'pgbackrest --stanza={STANZA} --repo1-path={repository} --pg1-path="$PWD" archive-get %f "%p"'
    follow(
        say,
        f"--pg1-path={directory}",
        f"--repo1-path={repository}",
        f"--set={label}",
        f"--recovery-option=restore_command={get}",
        *target,
        "restore",
    )
