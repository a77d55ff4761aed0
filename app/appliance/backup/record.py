"""What the backup program remembers: what is wanted, what failed, and which backup was proven. One file."""

import contextlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from appliance.backup.pgbackrest import Backup
from appliance.backup.places import STATE_DIRECTORY
from appliance.system import BusyError, locked, write_file

BACKUP, PROOF, COPY, DUMP = "backup", "proof", "copy", "dump"
LOCAL, S3 = "local", "s3"
KEPT_PROOFS = 60


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

    @property
    def bad(self) -> list[Proof]:
        """Return the last proof of each repository, where it did not succeed."""
        return [one for one in {one.repository: one for one in self.proofs}.values() if not one.good]

    def refuted(self, backups: Iterable[Backup]) -> set[str]:
        """Return the labels of the backups that did not pass their last proof, and of those that they build on."""
        verdicts = {proof.label: proof.good for proof in self.proofs if proof.repository == LOCAL}
        bad = [backup for backup in backups if not verdicts.get(backup.label, True)]
        return {label for backup in bad for label in (backup.label, *backup.builds_on)}

    def last_good(self, repository: str = LOCAL) -> Proof | None:
        """Return the last proof that succeeded."""
        return next((one for one in reversed(self.proofs) if one.good and one.repository == repository), None)


@contextlib.contextmanager
def changing(directory: Path = STATE_DIRECTORY) -> Iterator[Record]:
    """Change the record; nobody else does meanwhile."""
    with locked(directory / "state.lock", math.inf, "never"):
        record = Record.load(directory)
        yield record
        record.proofs = record.proofs[-KEPT_PROOFS:]
        write_file(directory / "state.json", json.dumps(asdict(record), indent=2) + "\n", mode=0o644)


def alone(name: str, directory: Path = STATE_DIRECTORY) -> contextlib.AbstractContextManager[None]:
    """Keep a second one of the same work out."""
    return locked(directory / f"{name}.lock", 0, f"another {name} is under way; see: luckygas backups")


@contextlib.contextmanager
def work(name: str, now: float, directory: Path = STATE_DIRECTORY) -> Iterator[None]:
    """Do a piece of work alone. Until it comes to its end, or to a verdict, it stays wanted."""
    with alone(name, directory):
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
        with alone(name, directory):
            return False
    except BusyError:
        return True
