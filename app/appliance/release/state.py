"""What is remembered of releases: which of them were in force, when, and what came of the last attempts. One file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from appliance.release.places import STATE_FILE
from appliance.system import write_file

KEPT = 100
IN_FORCE, FAILED = "in force", "failed"


@dataclass(frozen=True)
class Entry:
    """One attempt to bring a release into force. Times in seconds since the epoch."""

    release: str
    at: float
    seconds: float
    outcome: str
    why: str = ""
    # The moment before the schema was changed, to which `luckygas restore --to` can go back; 0 where it was not.
    point: float = 0.0


@dataclass
class State:
    """The whole file."""

    # What the playbook brought last: it brings a wheel again only when it has another one.
    playbook: str = ""
    history: list[Entry] = field(default_factory=list)

    @classmethod
    def load(cls, file: Path = STATE_FILE) -> Self:
        """Read the file; there is none at first."""
        if not file.exists():
            return cls()
        told = json.loads(file.read_text())
        return cls(told["playbook"], [Entry(**one) for one in told["history"]])

    def save(self, file: Path = STATE_FILE) -> None:
        """Write the file."""
        told = asdict(self) | {"history": [asdict(one) for one in self.history[-KEPT:]]}
        write_file(file, json.dumps(told, indent=2) + "\n", mode=0o644)

    def before(self, current: str) -> list[str]:
        """Return the releases that were in force before the current one, the latest first."""
        found = []
        for entry in reversed(self.history):
            if entry.outcome == IN_FORCE and entry.release not in (current, *found):
                found.append(entry.release)
        return found

    def last(self, release: str) -> Entry | None:
        """Return when a release came into force the last time."""
        return next((one for one in reversed(self.history) if (one.release, one.outcome) == (release, IN_FORCE)), None)
