"""Which timelines lead to the data of today. A restore leaves a branch behind that leads nowhere any more."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.backup.places import SEGMENT_BYTES

FIRST_TIMELINE = "00000001"
SEGMENTS_PER_LOG = (1 << 32) // SEGMENT_BYTES
LINE = re.compile(r"\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)")


def number(segment: str) -> int:
    """Return a segment's place in the WAL, whatever its timeline."""
    return int(segment[8:16], 16) * SEGMENTS_PER_LOG + int(segment[16:], 16)


def name(timeline: str, place: int) -> str:
    """Return the segment at a place."""
    return f"{timeline}{place // SEGMENTS_PER_LOG:08X}{place % SEGMENTS_PER_LOG:08X}"


def position(lsn: str) -> int:
    """Return a place in the WAL, written as PostgreSQL does, in bytes."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


@dataclass(frozen=True)
class Lineage:
    """The newest timeline, and where each of those before it was left."""

    newest: str = FIRST_TIMELINE
    left_at: tuple[tuple[str, int], ...] = ()

    @classmethod
    def read(cls, newest: str, history: str) -> "Lineage":
        """Read a timeline's history file."""
        found = [match for line in history.splitlines() if (match := LINE.match(line))]
        return cls(newest, tuple((f"{int(one[1]):08X}", position(f"{one[2]}/{one[3]}")) for one in found))

    def holds(self, timeline: str, end: int) -> bool:
        """Tell whether what ended at this place of a timeline is part of today's past."""
        return timeline == self.newest or any(timeline == one and end <= left for one, left in self.left_at)

    def path(self, first: str, held: Iterable[str]) -> Iterator[str]:
        """Yield the segments that lead from `first` to the newest held one."""
        place, known = number(first), [timeline for timeline, _ in self.left_at]
        start = known.index(first[:8]) if first[:8] in known else len(known)
        for timeline, left in self.left_at[start:]:
            # The segment in which a timeline is left is whole on the next one only.
            while place < left // SEGMENT_BYTES:
                yield name(timeline, place)
                place += 1
        last = max((number(segment) for segment in held if segment[:8] == self.newest), default=place - 1)
        yield from (name(self.newest, one) for one in range(place, last + 1))
