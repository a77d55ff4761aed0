"""What the backup program remembers: what is wanted, what failed, and which backup was proven. One file."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from appliance.backup.places import STATE_DIRECTORY
from appliance.system import write_file

BACKUP, PROOF, COPY, DUMP = "backup", "proof", "copy", "dump"
LOCAL, S3 = "local", "s3"
KEPT_PROOFS = 60


class BusyError(Exception):
    """The same work is under way."""


@dataclass
class Proof:
    """What came of restoring a backup and looking at it. Times in seconds since the epoch."""

    label: str
    at: float
    good: bool
    seconds: float = 0.0  # from nothing to a server that answers
    behind_seconds: float = 0.0  # how old the newest row was
    rows: int = 0
    why: str = ""
    repository: str = LOCAL


@dataclass
class Record:
    """Everything that the next run has to know."""

    # Work that was begun and has not come to an end: the watch begins it again, whatever broke it off.
    wanted: dict[str, float] = field(default_factory=dict)
    # Why it did not come to an end the last time.
    failures: dict[str, str] = field(default_factory=dict)
    proofs: list[Proof] = field(default_factory=list)
    # When the bucket last held all that the repository held, and which backups.
    copied_at: float = 0.0
    copied: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, directory: Path = STATE_DIRECTORY) -> Self:
        """Read the file; there is none at first."""
        file = directory / "state.json"
        if not file.exists():
            return cls()
        told = json.loads(file.read_text())
        return cls(**told | {"proofs": [Proof(**one) for one in told["proofs"]]})

    def proof_of(self, label: str) -> Proof | None:
        """Return the last verdict on a backup."""
        return next((proof for proof in reversed(self.proofs) if proof.label == label), None)

    def last_good(self, repository: str = LOCAL) -> Proof | None:
        """Return the last proof that succeeded."""
        return next((one for one in reversed(self.proofs) if one.good and one.repository == repository), None)


@contextlib.contextmanager
def changing(directory: Path = STATE_DIRECTORY) -> Iterator[Record]:
    """Change the record; nobody else does meanwhile."""
    with locked(directory / "state.lock", wait=True):
        record = Record.load(directory)
        yield record
        record.proofs = record.proofs[-KEPT_PROOFS:]
        write_file(directory / "state.json", json.dumps(asdict(record), indent=2) + "\n", mode=0o644)


@contextlib.contextmanager
def work(name: str, now: float, directory: Path = STATE_DIRECTORY) -> Iterator[None]:
    """Do a piece of work alone. Until it comes to its end, or to a verdict, it stays wanted."""
    with locked(directory / f"{name}.lock", wait=False):
        with changing(directory) as record:
            record.wanted[name] = now
        try:
            yield
        except Exception as problem:
            with changing(directory) as record:
                record.failures[name] = str(problem)
            raise
        with changing(directory) as record:
            record.wanted.pop(name, None)
            record.failures.pop(name, None)


def is_under_way(name: str, directory: Path = STATE_DIRECTORY) -> bool:
    """Tell whether somebody is at that work."""
    try:
        with locked(directory / f"{name}.lock", wait=False):
            return False
    except BusyError:
        return True


@contextlib.contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock, which the kernel gives back when its holder dies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    except BlockingIOError:
        raise BusyError(f"another {file.stem} is under way; follow it by: journalctl -ft luckygas-backup") from None
    finally:
        os.close(descriptor)
