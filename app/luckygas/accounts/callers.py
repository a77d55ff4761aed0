"""Recognising whoever calls: what the web layer, which knows no domain, is given."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Flask, Response, g, request
from sqlalchemy.orm import Session

from luckygas.access import Principal
from luckygas.accounts import service, sessions
from luckygas.accounts.usage import UseCounter
from luckygas.resources import resources

KNOWN_SECONDS: Final = 5
_MOST_KNOWN: Final = 10_000
_REFUSED_FROM, _FAILED_FROM = 400, 500


@dataclass(slots=True)
class Known:
    """The holder of a key, as the database had it a moment ago, and until when (monotonic) that is good enough."""

    principal: Principal
    key_id: str
    mac: bytes
    expires_at: datetime
    until: float
    seen: bool = True


class Callers:
    """Knows for a few seconds whose key it saw, for lists alone: a key that was revoked must change nothing more."""

    def __init__(self) -> None:
        """Begin knowing nobody."""
        self.uses = UseCounter()
        self._known: dict[bytes, Known] = {}
        self._renewing = threading.Lock()

    def register(self, app: Flask) -> None:
        """Have `app` tell of each request of a key that it refused."""
        app.extensions["luckygas.callers"] = self
        app.after_request(self._note_refused)

    def _note_refused(self, response: Response) -> Response:
        if _REFUSED_FROM <= response.status_code < _FAILED_FROM and "principal" in g:
            kind, _, key_id = g.principal.id.partition(":")
            if kind == "key":
                self.uses.note_refused(key_id, today=resources().today())
        return response

    def by_key(self, session: Callable[[], Session], presented: str, /, *, fresh: bool) -> Principal:
        """Return the holder of a key, from memory unless it has to be `fresh`."""
        now = datetime.now(UTC)
        digest = hashlib.sha256(presented.encode()).digest()
        known = None if fresh else self._remembered(session, digest)
        if known is None or now >= known.expires_at:
            self._known.pop(digest, None)
            known = self._known[digest] = self._read(session(), presented, now)
        self.uses.note(known.key_id, now=now, today=resources().today(), address=request.remote_addr)
        return known.principal

    def _read(self, session: Session, presented: str, now: datetime) -> Known:
        until, pepper = time.monotonic() + KNOWN_SECONDS, resources().settings.api_key_pepper
        row = service.authenticate(session, pepper=pepper, presented=presented, now=now)
        self.uses.note_mac(row.id, had=row.secret_mac, mac=service.mac_of(presented, pepper=pepper))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        return Known(service.principal_of(row), row.id, row.secret_mac, row.expires_at, until)

    def _remembered(self, session: Callable[[], Session], digest: bytes) -> Known | None:
        known = self._known.get(digest)
        if known is None:
            return None
        known.seen = True
        if time.monotonic() >= known.until and self._renewing.acquire(blocking=False):
            try:
                self._renew(session())
            finally:
                self._renewing.release()
            known = self._known.get(digest)
        return known if known is not None and time.monotonic() < known.until else None

    def _renew(self, session: Session) -> None:
        """Read all at once that would soon be read one by one, and forget who was not seen since the last time."""
        now = time.monotonic()
        due = [(digest, known) for digest, known in list(self._known.items()) if known.until < now + KNOWN_SECONDS / 2]
        rows = service.usable_keys(session, ids={known.key_id for _, known in due if known.seen})
        for digest, known in due:
            row = rows.get(known.key_id)
            if row is None or row.secret_mac != known.mac:
                self._known.pop(digest, None)
            else:
                principal, until = service.principal_of(row), now + KNOWN_SECONDS
                self._known[digest] = Known(principal, row.id, known.mac, row.expires_at, until, seen=False)

    def by_token(self, session: Callable[[], Session], token: str, /, *, fresh: bool) -> Principal:
        """Return who is logged in; that a session has ended is known at once in any case."""
        del fresh
        return sessions.authenticate(session, volatile=resources().volatile, token=token, now=datetime.now(UTC))
