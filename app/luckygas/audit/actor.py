"""Whoever is behind a change."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    That is `person:1`, `key:ab12cd34`, `partner:NAME`, `job:NAME`, `operator:LOGIN`, `service:PROCESS` or `anonymous`.
    `origin` is where that came from, such as the address of a client or the number of a job.
    """

    name: str
    origin: str | None = None
    request_id: str | None = None


type FindActor = Callable[[], Actor]
"""Asked when a transaction that changed something is about to commit."""
