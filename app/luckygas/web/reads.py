"""Where a view that only reads gets its rows from: a standby, unless that would show the caller too little.

A standby is a moment behind the primary. So whoever wrote reads from the primary for a while, on every instance of the
service (`web.writers`). A standby that fails, or that is itself behind, costs the caller nothing but a second attempt
on the primary. What takes too long on a standby would take as long there, and is not tried again.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from flask import Flask

from luckygas.db.engine import StandbyBehind, is_too_slow, is_unavailable
from luckygas.db.session import transaction
from luckygas.errors import Problem
from luckygas.resources import Resources
from luckygas.web.writers import Writers

PRIMARY_AFTER_WRITE_SECONDS: Final = 2
STANDBY_REST_SECONDS: Final = 5
"""How long the standbys are left alone after a failure: nobody else should wait for its time-out."""

logger = logging.getLogger(__name__)


class TookTooLong(Problem):
    """There is too much to look at to find what was asked for."""

    status, code, title = 503, "took_too_long", "The answer takes too long to find"


class Reads:
    """Decides for one process, in step with all others."""

    def __init__(self, resources: Resources) -> None:
        """Prepare; nothing is asked before the first read."""
        self._resources = resources
        self._writers = Writers(resources.settings.writers_file)
        self._standby_rests_until = 0.0

    @classmethod
    def of(cls, app: Flask) -> "Reads":
        """Return what `register` gave to this app."""
        return app.extensions["luckygas.reads"]

    def note_write(self, principal: str) -> None:
        """Have this principal's reads go to the primary for a while, from now on."""
        self._writers.note(principal, seconds=PRIMARY_AFTER_WRITE_SECONDS)

    def run[T](self, principal: str, read: Callable[[], T]) -> T:
        """Return what `read` returns, in a transaction of its own, from a standby where that will do.

        Raises `TookTooLong` when the server gives up looking.
        """
        try:
            return self._run(principal, read)
        except Exception as error:
            if not is_too_slow(error):
                raise
            logger.warning("a read took too long", extra={"reason": str(error.__cause__ or error)})
            raise TookTooLong(
                "the database looked for this for as long as it may: ask for less, such as a shorter period, or name"
                " more of what you look for"
            ) from error

    def _run[T](self, principal: str, read: Callable[[], T]) -> T:
        if not self._writers.include(principal) and not self._standby_rests():
            try:
                with transaction(self._resources.read_sessions):
                    answer = read()
            except StandbyBehind as behind:
                logger.info("a standby is behind", extra={"reason": str(behind)})
            except Exception as error:
                if is_too_slow(error) or not is_unavailable(error):
                    raise
                self._standby_rests_until = time.monotonic() + STANDBY_REST_SECONDS
                logger.warning("no standby served this read", extra={"reason": str(error.__cause__ or error)})
            else:
                self._standby_rests_until = 0.0
                return answer
        with transaction(self._resources.sessions):
            return read()

    def _standby_rests(self) -> bool:
        now = time.monotonic()
        if self._standby_rests_until > now:
            return True
        if self._standby_rests_until:  # it failed before: one tries, the others do not wait to see how that ends
            self._standby_rests_until = now + STANDBY_REST_SECONDS
        return False


def register(app: Flask) -> None:
    """Give `app` its way of reading."""
    app.extensions["luckygas.reads"] = Reads(Resources.of(app))
