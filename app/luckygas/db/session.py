"""One session and one transaction for each request. Services use the session, only `transaction` ends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import g
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from luckygas import spans
from luckygas.db.engine import CommitUnanswered


def current_session() -> Session:
    """Return the session of this request's transaction, opened by the first call."""
    if "session" not in g:
        g.session = g.sessions()
    return g.session


@contextmanager
def transaction(sessions: sessionmaker[Session]) -> Iterator[None]:
    """Commit what the request wrote when the block succeeds, otherwise roll all of it back.

    Raises `CommitUnanswered` when nobody can tell which of the two happened.
    """
    g.sessions = sessions
    try:
        yield
        if "session" in g:
            _commit(g.session)
    finally:
        if "session" in g:
            g.pop("session").close()


def _commit(session: Session) -> None:
    session.flush()  # what breaks in here is certainly not kept
    try:
        with spans.within("commit"):
            session.commit()
    except DBAPIError as error:
        # A server that says why it did not commit, such as that a lock took too long, has rolled back.
        if not error.connection_invalidated:
            raise
        raise CommitUnanswered(str(error.orig)) from error


def after_commit(session: Session, act: Callable[[], object]) -> None:
    """Do something outside of the database as soon as what `session` wrote is certain, and not at all otherwise."""
    event.listen(session, "after_commit", lambda _: act(), once=True)
