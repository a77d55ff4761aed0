"""Recognising whoever calls: what the web layer, which knows no domain, is given."""

import hashlib
import time
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


class Callers:
    """Knows for a few seconds whose key it saw, for lists alone: a key that was revoked must change nothing more."""

    def __init__(self) -> None:
        """Begin knowing nobody."""
        self.uses = UseCounter()
        self._known: dict[bytes, tuple[Principal, str, datetime, float]] = {}

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

    def by_key(self, session: Session, presented: str, /, *, fresh: bool) -> Principal:
        """Return the holder of a key, from memory unless it has to be `fresh`."""
        now = datetime.now(UTC)
        digest = hashlib.sha256(presented.encode()).digest()
        principal, key_id, expires_at, until = self._known.get(digest, (None, "", now, 0.0))
        if fresh or principal is None or now >= expires_at or time.monotonic() >= until:
            self._known.pop(digest, None)
            pepper = resources().settings.api_key_pepper
            row = service.authenticate(session, pepper=pepper, presented=presented, now=now)
            principal, key_id = service.principal_of(row), row.id
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = (principal, key_id, row.expires_at, time.monotonic() + KNOWN_SECONDS)
        self.uses.note(key_id, now=now, today=resources().today(), address=request.remote_addr)
        return principal

    def by_token(self, session: Session, token: str, /, *, fresh: bool) -> Principal:
        """Return who is logged in; that a session has ended is known at once in any case."""
        del fresh
        return sessions.authenticate(session, volatile=resources().volatile, token=token, now=datetime.now(UTC))
