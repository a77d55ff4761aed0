"""What must survive every crash: who leads, who may not, and what is under way. One file, replaced as a whole."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from appliance.database.settings import STATE_DIRECTORY
from appliance.system import locked, write_file

PHASES = STABLE, SWITCHOVER, FAILOVER = ("stable", "switchover", "failover")


class NoStateError(Exception):
    """The state file is missing or unreadable."""


@dataclass(frozen=True)
class State:
    """Everything that the next run, after whatever happened to this one, has to know.

    stable      `primary` leads.
    switchover  `primary` still leads; `candidate` is to follow it. May be called off.
    failover    `primary` is fenced and never leads again as it is. Only goes forward, to `candidate` once it is chosen.
    """

    primary: str
    epoch: int = 1
    phase: str = STABLE
    candidate: str | None = None
    # Of those that hold equally much, this one is to lead: the one that a switchover was asked for.
    preferred: str | None = None
    # An acknowledged write is on two instances. True only while PostgreSQL is known to enforce it.
    quorum: bool = False
    # Instances that must not run until they have been made copies of the primary again, and why.
    fenced: Mapping[str, str] = field(default_factory=dict, hash=False)
    # When the phase began (seconds since the epoch), to be read: the clock may have been set since.
    since: float = 0.0
    reason: str = ""
    # The last change of the primary: from, to, at (seconds since the epoch), why. Empty until there was one.
    last: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def fencing(self, node: str, why: str) -> Self:
        """Return the same state with one more instance fenced."""
        return replace(self, fenced={**self.fenced, node: why})

    def releasing(self, node: str) -> Self:
        """Return the same state with that instance allowed to run."""
        return replace(self, fenced={name: why for name, why in self.fenced.items() if name != node})


class Store:
    """The state file and the lock around every change of it."""

    def __init__(self, directory: Path = STATE_DIRECTORY) -> None:
        """Keep the state in `directory`."""
        self.file = directory / "state.json"
        self.lock_file = directory / "lock"

    def load(self) -> State:
        """Read the state; a state that cannot be read is an error, never a default."""
        try:
            return State(**json.loads(self.file.read_text()))
        except (OSError, ValueError, TypeError) as problem:
            message = (
                f"{self.file} cannot be read ({problem}). "
                "To have the instance that leads found and written down: luckygas db init --overwrite. "
                "When that cannot tell, it says what helps"
            )
            raise NoStateError(message) from problem

    def save(self, state: State) -> State:
        """Replace the state file; when this returns, it is on the disk."""
        write_file(self.file, json.dumps(asdict(state), indent=2) + "\n", mode=0o644)
        return state

    def lock(self, patience: float = 30.0) -> AbstractContextManager[None]:
        """Keep every other operation out."""
        return locked(
            self.lock_file,
            patience,
            "another database operation is under way (see `luckygas db status`); try again when it is done",
        )
