"""Holding the log against its links, from the first entry to the last.

The digests are computed here once more and not by the database, whose functions whoever changes its rows could change.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

_AT_ONCE: Final = 2000
# The same array as in the migration that made the links.
_LINKS: Final = text(
    "SELECT link.strand, link.position, link.entry_id, link.digest, entry.id IS NOT NULL AS has_entry, "
    "jsonb_build_array(link.strand, link.position, entry.id, extract(epoch FROM entry.at), entry.actor, entry.origin,"
    " entry.request_id, entry.action, entry.entity, entry.entity_id, entry.changes)::text AS content "
    "FROM audit_links AS link LEFT JOIN audit_entries AS entry ON entry.id = link.entry_id "
    "WHERE (link.strand, link.position) > (:strand, :position) ORDER BY link.strand, link.position LIMIT :count"
)
_ENTRIES: Final = text(
    "SELECT entry.id, link.entry_id IS NOT NULL AS is_linked "
    "FROM audit_entries AS entry LEFT JOIN audit_links AS link ON link.entry_id = entry.id "
    "WHERE entry.id > :id ORDER BY entry.id LIMIT :count"
)


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a strand: kept in a safe place, it proves later that nothing up to it was cut off."""

    strand: int
    position: int
    digest: str

    def __str__(self) -> str:
        """Return the line that `parse` reads."""
        return f"{self.strand} {self.position} {self.digest}"

    @classmethod
    def parse(cls, line: str) -> "Head":
        """Read one line, or raise `ValueError`."""
        strand, position, digest = line.split()
        return cls(int(strand), int(position), digest)


class BrokenChain(Exception):  # noqa: N818 - a finding
    """The log is not what it was; the message names the first place."""


def verify(session: Session, *, known: Sequence[Head] = ()) -> list[Head]:
    """Return the head of each strand, or raise `BrokenChain`, also if a head that is `known` is not there any more."""
    missing = {(head.strand, head.position): head for head in known}
    heads: dict[int, Head] = {}
    digest = b""
    for link in _links(session):
        before = heads.get(link.strand)
        expected = before.position + 1 if before else 1
        if link.position != expected:
            raise BrokenChain(f"strand {link.strand}, link {expected}: it was removed")
        digest = digest if before else b""
        if not link.has_entry:
            raise BrokenChain(f"strand {link.strand}, link {link.position}: its entry {link.entry_id} was removed")
        digest = hashlib.sha256(digest + link.content.encode()).digest()
        if digest != link.digest:
            raise BrokenChain(f"strand {link.strand}, link {link.position}: its entry {link.entry_id} was changed")
        head = heads[link.strand] = Head(link.strand, link.position, digest.hex())
        if missing.pop((head.strand, head.position), head) != head:
            raise BrokenChain(f"strand {link.strand}, link {link.position}: it is not the one that was there before")
    for head in missing.values():
        raise BrokenChain(f"strand {head.strand}, link {head.position}: it was there before and was cut off")
    for entry in _entries(session):
        if not entry.is_linked:
            raise BrokenChain(f"entry {entry.id}: no link leads to it")
    return list(heads.values())


def _links(session: Session) -> Iterator[Row[Any]]:
    strand, position = -1, 0
    while rows := session.execute(_LINKS, {"strand": strand, "position": position, "count": _AT_ONCE}).all():
        yield from rows
        strand, position = rows[-1].strand, rows[-1].position


def _entries(session: Session) -> Iterator[Row[Any]]:
    last = 0
    while rows := session.execute(_ENTRIES, {"id": last, "count": _AT_ONCE}).all():
        yield from rows
        last = rows[-1].id
