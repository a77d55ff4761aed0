"""Logging in with whichever password is good: while one is replaced, a role has the old or the new one.

The credential of a role then holds both, one a line. Once, nobody knows which of them the server takes; so each new
connection tries them in turn, and nobody has to be told of the moment at which that changes.
"""

from typing import Any, Self, override

import psycopg

_REFUSED = "authentication failed"  # in the words of PostgreSQL, and of pgBouncer, which gives no code of its own


class Connection(psycopg.Connection):
    """A connection whose `password` may be several, one a line."""

    @classmethod
    @override
    def connect(cls, conninfo: str = "", *, password: str = "", **options: Any) -> Self:
        *former, last = password.splitlines() or [""]
        for one in former:
            try:
                return super().connect(conninfo, password=one, **options)
            except psycopg.OperationalError as error:
                if _REFUSED not in str(error):
                    raise
        return super().connect(conninfo, password=last, **options)


class AsyncConnection(psycopg.AsyncConnection):
    """The same for the worker's queue."""

    @classmethod
    @override
    async def connect(cls, conninfo: str = "", *, password: str = "", **options: Any) -> Self:
        *former, last = password.splitlines() or [""]
        for one in former:
            try:
                return await super().connect(conninfo, password=one, **options)
            except psycopg.OperationalError as error:
                if _REFUSED not in str(error):
                    raise
        return await super().connect(conninfo, password=last, **options)
