"""What the commands of a domain stand on."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from luckygas.config import Settings
from luckygas.resources import Resources


@contextmanager
def transaction() -> Iterator[tuple[Session, Resources]]:
    """Open a transaction of the service's own role; it is committed when the block succeeds."""
    resources = Resources.create(Settings.from_environ(), name="luckygas-app")
    try:
        with resources.sessions.begin() as session:
            yield session, resources
    finally:
        resources.dispose()
