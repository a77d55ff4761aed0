"""How many points are held against whom: counted in Redis for all processes, by each for itself while that is away."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from luckygas.volatile import Script, Volatile

HALF_LIFE_SECONDS: Final = 300
REMEMBERED_SECONDS: Final = 86_400

_KEY: Final = "lg:score:{}"
_MOST_SUBJECTS: Final = 10_000
_ADD: Final = Script(Path(__file__).with_name("score.lua").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Offence:
    """What is held against whoever does it: under which name, how much, and once in how many seconds."""

    reason: str
    points: float
    burst_seconds: float = 0


@dataclass(slots=True)
class Held:
    """What is held against one client: the points of each reason, and how often it was blocked lately."""

    points: dict[str, float] = field(default_factory=dict)
    blocks: int = 0
    at: float = 0

    @property
    def score(self) -> float:
        """Return all points together."""
        return sum(self.points.values())

    def __str__(self) -> str:
        """Explain the score, the gravest reason first."""
        gravest = sorted(self.points.items(), key=lambda item: -item[1])
        return ", ".join(f"{reason} {points:.1f}" for reason, points in gravest)


class Scores:
    """Adds to what is held against clients."""

    def __init__(self, volatile: Volatile) -> None:
        """Begin with nothing of one's own."""
        self._volatile = volatile
        self._lock = threading.Lock()
        self._alone: dict[str, Held] = {}
        self._skipped_until: dict[tuple[str, str], float] = {}

    def add(self, subject: str, offence: Offence) -> Held | None:
        """Hold `offence` against `subject`; return all that now is, or None if it counted a moment ago."""
        if offence.burst_seconds and not self._counts(subject, offence):
            return None
        arguments = [offence.reason, offence.points, offence.burst_seconds, HALF_LIFE_SECONDS, time.time()]
        found = self._volatile.ask(
            lambda redis: _ADD.run(redis, [_KEY.format(subject)], [*arguments, REMEMBERED_SECONDS]), otherwise=None
        )
        if found is None:
            return self._add_alone(subject, offence)
        blocks, *rest = [each.decode() if isinstance(each, bytes) else str(each) for each in found]
        return Held(dict(zip(rest[::2], map(float, rest[1::2]), strict=True)), int(blocks))

    def note_block(self, subject: str) -> None:
        """Remember for a day that `subject` was blocked: the next time is longer."""
        self._volatile.ask(lambda redis: redis.hincrby(_KEY.format(subject), "blocks", 1), otherwise=None)

    def forget(self, subject: str) -> None:
        """Hold nothing against `subject` any more."""
        with self._lock:
            self._alone.pop(subject, None)
        self._volatile.ask(lambda redis: redis.delete(_KEY.format(subject)), otherwise=None)

    def _counts(self, subject: str, offence: Offence) -> bool:
        """Tell whether Redis has to be asked: whoever is refused a thousand times a second costs one question."""
        now, key = time.monotonic(), (subject, offence.reason)
        with self._lock:
            if now < self._skipped_until.get(key, 0):
                return False
            if len(self._skipped_until) >= _MOST_SUBJECTS:
                self._skipped_until.clear()
            self._skipped_until[key] = now + offence.burst_seconds
        return True

    def _add_alone(self, subject: str, offence: Offence) -> Held:
        now = time.monotonic()
        with self._lock:
            if len(self._alone) >= _MOST_SUBJECTS:
                self._alone.clear()
            held = self._alone.setdefault(subject, Held(at=now))
            decay = 2 ** ((held.at - now) / HALF_LIFE_SECONDS)
            held.points = {reason: points * decay for reason, points in held.points.items()}
            held.points[offence.reason] = held.points.get(offence.reason, 0) + offence.points
            held.at = now
            return Held(dict(held.points))
