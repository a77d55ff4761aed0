"""What is being replaced, how far that is, and what was replaced: one file, by which an interrupted work goes on."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from appliance.rotate.secrets import PEPPER
from appliance.system import write_file

FILE = Path("/var/lib/luckygas/rotation.json")


def digest(text: str) -> str:
    """Return what Redis, the record of the playbook's files and this one keep of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Change:
    """From one value to another."""

    old: str
    new: str


@dataclass
class State:
    """The whole file. It holds secrets while they are replaced, and digests of those that were."""

    step: str = ""
    changes: dict[str, Change] = field(default_factory=dict)
    # By these the playbook knows that its own copy is a former one, and takes over what is here.
    formers: dict[str, list[str]] = field(default_factory=dict)
    # Since when all processes make the digests of API keys with the present pepper; 0 where no former one is left.
    pepper_since: float = 0.0

    @classmethod
    def load(cls) -> Self:
        """Read the file; there is none at first."""
        if not FILE.exists():
            return cls()
        told = json.loads(FILE.read_text())
        changes = {name: Change(**one) for name, one in told.pop("changes").items()}
        return cls(changes=changes, **told)

    def save(self) -> None:
        """Write the file."""
        write_file(FILE, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)

    def begin(self, changes: dict[str, Change], step: str) -> None:
        """Note what is to be replaced, before anything is."""
        self.changes, self.step = changes, step
        self.save()

    def end(self) -> None:
        """Note that nothing is left to do."""
        for name, change in self.changes.items():
            known = self.formers.setdefault(name, [])
            known.append(digest(change.old))
        if PEPPER in self.changes:
            self.pepper_since = time.time() if "\n" in self.changes[PEPPER].new else 0.0
        self.changes, self.step = {}, ""
        self.save()
