"""Whether a test alert was sent to those who are told, and whether somebody said that it arrived."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from appliance.system import write_file

FILE = Path("/var/lib/luckygas/alerts/state.json")


@dataclass(frozen=True)
class Record:
    """The last test. Times in seconds since the epoch; 0 is never."""

    digest: str = ""  # of the receivers that it went to
    code: str = ""
    sent_at: float = 0.0
    confirmed_at: float = 0.0

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file; there is none at first."""
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def save(self, file: Path = FILE) -> None:
        """Write the file."""
        write_file(file, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)

    def is_confirmed(self, digest: str) -> bool:
        """Tell whether a test to just these receivers arrived."""
        return self.digest == digest and self.confirmed_at > 0


def new_code() -> str:
    """Return six digits that nobody guesses by accident."""
    return f"{secrets.randbelow(10**6):06}"
