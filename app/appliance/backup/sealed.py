"""Encrypted files beside the repository: dumps of databases, and the configuration. Plain gpg opens them.

A file has its name only when what is in it was tried. It is kept for a week, here and in the bucket.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance.backup.bucket import Bucket
from appliance.backup.pgbackrest import Say
from appliance.backup.places import PASSPHRASE_FILE, SEALED, STATE_DIRECTORY
from appliance.backup.record import DUMP
from appliance.system import pipe

CONFIGURATION = "config"
SUFFIXES = {DUMP: ".dump.gpg", CONFIGURATION: ".tar.gz.gpg"}
LABEL = re.compile(r"([a-z_][a-z0-9_]*)-(\d{8}-\d{6})")
STAMP = "%Y%m%d-%H%M%S"
KEPT_SECONDS = 7 * 86400
MAX_SHARE = 0.1  # of the file system
PREFIX = "sealed/"


class SealError(Exception):
    """A file could not be encrypted, or not be read back; the message says why."""


@dataclass(frozen=True)
class Sealed:
    """One such file: a dump of a database, or the configuration."""

    kind: str
    subject: str
    at: float
    file: Path
    size: int = 0

    @property
    def label(self) -> str:
        """What an operator calls it."""
        return self.file.name.removeprefix(".").removesuffix(".partial").removesuffix(SUFFIXES[self.kind])


def read(file: Path) -> Sealed | None:
    """Return what a file's name says; None for a stranger."""
    for kind, suffix in SUFFIXES.items():
        if file.name.endswith(suffix) and (found := LABEL.fullmatch(file.name.removesuffix(suffix))):
            at = datetime.strptime(found[2], STAMP).astimezone().timestamp()
            return Sealed(kind, found[1], at, file, file.stat().st_size if file.exists() else 0)
    return None


def held(directory: Path = SEALED) -> list[Sealed]:
    """Return what there is, oldest first."""
    found = [one for file in directory.glob("*.gpg") if (one := read(file))]
    return sorted(found, key=lambda one: (one.at, one.file.name))


def is_label(text: str | None) -> bool:
    """Tell whether a name is that of such a file, and not of a backup."""
    return bool(text and LABEL.fullmatch(text))


def gpg(*arguments: str | Path) -> list[str | Path]:
    """Return a command line of gpg that asks nobody and starts no agent."""
    home = STATE_DIRECTORY / "gnupg"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    quiet = ["--no-options", "--no-autostart", "--batch", "--quiet", "--pinentry-mode=loopback"]
    return ["gpg", f"--homedir={home}", *quiet, f"--passphrase-file={PASSPHRASE_FILE}", *arguments]


@contextlib.contextmanager
def sealing(kind: str, subject: str, now: float, directory: Path = SEALED) -> Iterator[Sealed]:
    """Give a file to write to and to try; it gets its name when that went well, and is gone when it did not."""
    name = f"{subject}-{datetime.fromtimestamp(now, UTC).astimezone():{STAMP}}{SUFFIXES[kind]}"
    for left in directory.glob(f".{subject}-*.partial"):
        left.unlink()
    partial = directory / f".{name}.partial"
    try:
        yield Sealed(kind, subject, now, partial)
        partial.rename(directory / name)
    finally:
        partial.unlink(missing_ok=True)


def seal(file: Path, command: Sequence[str | Path], user: str | None = None) -> None:
    """Encrypt what a command prints."""
    # The passphrase is as strong as the cipher, and what comes is compressed.
    strong = ["--symmetric", "--cipher-algo=AES256", "--s2k-digest-algo=SHA512", "--s2k-count=65011712"]
    with file.open("wb") as target:
        file.chmod(0o600)
        complaint = pipe(command, gpg(*strong, "--compress-algo=none"), source_user=user, stdout=target)
        os.fsync(target.fileno())
    if complaint:
        raise SealError(complaint)


def unseal(file: Path, command: Sequence[str | Path], user: str | None = None) -> None:
    """Give what is in a file to a command; fails when the command does, and when a byte of the file was changed."""
    if complaint := pipe(gpg("--decrypt", file), command, sink_user=user):
        raise SealError(complaint)


def expire(now: float, say: Say, directory: Path = SEALED, limit: float | None = None) -> None:
    """Let go of what is older than a week, and of the oldest where all is too much; the newest of each stays."""
    found = held(directory)
    newest = {one.subject: one for one in found}
    used = sum(one.size for one in found)
    limit = MAX_SHARE * shutil.disk_usage(directory).total if limit is None else limit
    for one in found:
        old, large = now - one.at >= KEPT_SECONDS, used > limit
        if one != newest[one.subject] and (old or large):
            used -= one.size
            one.file.unlink()
            if not old:
                say(f"{one.label} goes before its time: such files take more than {limit / (1 << 30):.1f} GB")


def copy(bucket: Bucket, now: float, say: Say, directory: Path = SEALED) -> list[str]:
    """Bring the bucket in line; what merely vanished here stays there. Returns what it holds of that which is here.

    It stays for a week also where there is newer: what is here may have been begun anew.
    """
    here, there = {one.file.name: one for one in held(directory)}, bucket.keys(PREFIX)
    todo = [one for name, one in here.items() if there.get(PREFIX + name) != one.size]
    for one in todo:
        with contextlib.suppress(FileNotFoundError):  # let go of meanwhile
            bucket.upload(PREFIX + one.file.name, one.file)
    oldest: dict[str, float] = {}
    for one in here.values():
        oldest.setdefault(one.subject, one.at)
    gone = [
        key
        for key in there
        if (one := read(Path(key))) and one.at < oldest.get(one.subject, 0) and now - one.at >= KEPT_SECONDS
    ]
    bucket.delete(gone)
    say(f"{len(todo)} dumps and configurations copied, {len(gone)} removed")
    return [one.label for one in here.values()]


def find(label: str, bucket: Bucket | None, place: Path) -> Sealed:
    """Return what is called so; from a bucket it is brought here first."""
    names = [label + suffix for suffix in SUFFIXES.values()]
    if bucket:
        keys = bucket.keys(PREFIX + label)
        there = [name for name in names if PREFIX + name in keys]
        for name in there:
            bucket.download(PREFIX + name, place / name)
        found = [one for name in there if (one := read(place / name))]
    else:
        found = [one for one in held() if one.label == label]
    if not found:
        raise SealError(f"there is no {label}" + (f" in {bucket.where}" if bucket else "; see: luckygas backups"))
    return found[0]
