"""What the commands of a domain stand on."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from luckygas.audit.actor import Actor
from luckygas.config import Settings
from luckygas.resources import Resources


@contextmanager
def transaction() -> Iterator[tuple[Session, Resources]]:
    """Open a transaction of the service's own role; it is committed when the block succeeds."""
    resources = Resources.create(Settings.from_environ(), name="luckygas-app", actor=_operator)
    try:
        with resources.sessions.begin() as session:
            yield session, resources
    finally:
        resources.dispose()


def _operator() -> Actor:
    """Return who typed the command: the tool itself runs as the service's user."""
    return Actor(f"operator:{os.environ.get('LUCKYGAS_OPERATOR') or getpass.getuser()}", origin="luckygas-app")
