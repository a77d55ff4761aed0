"""Answers that take long to compute, kept in Redis until what they were computed from changes.

Every commit that changes a table which such an answer depends on says so, after it; the audit log knows which those
are. An answer is good for as long as nothing was said since before it was computed. Only what is a while old is kept:
a standby may lag behind what was just committed. Where Redis loses what it was told, an answer may be old by
`KEPT_SECONDS`.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.orm import Session

from luckygas.db.engine import READS_BEHIND_SECONDS
from luckygas.db.session import after_commit
from luckygas.volatile import Volatile

KEPT_SECONDS: Final = 60
SETTLED_SECONDS: Final = READS_BEHIND_SECONDS + 0.5

_CHANGED: Final = "lg:changed:{}"
_CHANGED_SECONDS: Final = 86_400
_KEPT: Final = "lg:cache:{}"

DEPENDED_ON: Final = frozenset({"cylinders"})
"""The tables whose changes are told: the others cost no trip to Redis."""


class Cache:
    """What all processes remember together."""

    def __init__(self, volatile: Volatile) -> None:
        """Prepare; nothing is asked before the first question."""
        self._volatile = volatile

    def remember(self, name: str, *, of: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returns, as JSON knows it, now or since the table `of` last changed."""
        if of not in DEPENDED_ON:
            raise ValueError(f"nobody tells when {of} changes: add it to DEPENDED_ON")
        keys = [_CHANGED.format(of), _KEPT.format(name)]
        changed, kept = self._volatile.ask(lambda redis: redis.mget(keys), otherwise=(None, None))
        if changed is not None and kept is not None:
            since, value = json.loads(kept)
            if since == float(changed):
                return value
        value = compute()
        if changed is None:
            self._tell(of, only_if_new=True)
        elif time.time() - float(changed) >= SETTLED_SECONDS:
            body = json.dumps([float(changed), value])
            self._volatile.ask(lambda redis: redis.set(keys[1], body, ex=KEPT_SECONDS), otherwise=None)
        return value

    def forget_after(self, session: Session, tables: set[str]) -> None:
        """Forget what depends on `tables` as soon as `session` has committed."""
        for table in tables & DEPENDED_ON:
            after_commit(session, lambda table=table: self._tell(table))

    def _tell(self, table: str, *, only_if_new: bool = False) -> None:
        key, now = _CHANGED.format(table), repr(time.time())
        self._volatile.ask(lambda redis: redis.set(key, now, ex=_CHANGED_SECONDS, nx=only_if_new), otherwise=None)
