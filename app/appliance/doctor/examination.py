"""An examination: a small function that yields what is wrong, beside its name, why that matters, and what to type.

Each runs in a thread of its own and is left behind when it does not end: whatever hangs, the others answer.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from appliance.doctor.settings import Settings
from appliance.output import OK, WARNING
from appliance.status.check import Check

LIMIT_SECONDS = 20.0
AT_ONCE = 4
SHOWN = 5
UNSEEN = "what is wrong there stays unseen"


class Found:
    """One thing that is wrong. `subjects` are what the command that helps is about."""

    def __init__(self, text: str, *subjects: object) -> None:
        """Take what was found, and what to put into the places of the command."""
        self.text, self.subjects = text, subjects


Look = Callable[[Settings], Iterable[str | Found]]
Work = Callable[[], list[Check]]


@dataclass(frozen=True)
class Examination:
    """One examination. Its `id` stays what it is from release to release."""

    id: str
    why: str
    what: str  # to type; each {} is one of the subjects
    severity: int
    look: Look

    def run(self, settings: Settings) -> list[Check]:
        """Look, and say what came of it."""
        found = [one if isinstance(one, Found) else Found(one) for one in self.look(settings)]
        if not found:
            return [Check(self.id, OK, "nothing")]
        texts = [one.text for one in found[:SHOWN]]
        if len(found) > SHOWN:
            texts.append(f"and {len(found) - SHOWN} more")
        typed = dict.fromkeys(self.what.format(*one.subjects) for one in found[:SHOWN])
        return [Check(self.id, self.severity, "; ".join(texts), self.why, "; ".join(typed))]


def examines(identifier: str, *, why: str, what: str, severity: int = WARNING) -> Callable[[Look], Examination]:
    """Make an examination of a function."""
    return lambda look: Examination(identifier, why, what, severity, look)


def guarded(name: str, work: Work, seconds: float) -> list[Check]:
    """Return what the work finds; when it fails or does not end, a warning that says so."""
    answer: list[list[Check]] = []

    def answered() -> None:
        try:
            answer.append(work())
        except Exception as problem:  # noqa: BLE001 - whatever it is, it must not hide the rest
            answer.append([Check(name, WARNING, f"could not be looked at: {problem}", UNSEEN, "luckygas status")])

    thread = threading.Thread(target=answered, daemon=True)
    thread.start()
    thread.join(seconds)
    late = Check(name, WARNING, f"could not be looked at within {seconds:g} s", UNSEEN, "luckygas status")
    return answer[0] if answer else [late]


def examine(works: Mapping[str, Work], seconds: float = LIMIT_SECONDS) -> Iterator[Check]:
    """Run all, some at once, and yield what they found in their order."""
    with ThreadPoolExecutor(AT_ONCE) as at_once:
        for found in at_once.map(lambda name: guarded(name, works[name], seconds), works):
            yield from found
