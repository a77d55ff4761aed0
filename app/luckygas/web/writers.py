"""Who wrote lately, as all processes of the service on this machine know it at once, and without asking anybody.

A small file in memory holds moments, each at a place that a digest of the writer's name picks. Whoever shares a place
with somebody else is taken for a writer a little too often, which costs them nothing but a read from the primary.
"""

import logging
import mmap
import os
import time
from pathlib import Path
from typing import Final
from zlib import crc32

_PLACES: Final = 1 << 18
"""Two megabytes, of which memory holds those pages alone that somebody ever wrote to."""
_BYTES: Final = _PLACES * 8

logger = logging.getLogger(__name__)


class Writers:
    """Shared by all processes that name the same file, or, without one, that descend from this one."""

    def __init__(self, file: Path | None) -> None:
        """Open `file`, which is made if it is missing; one that cannot be used makes everybody a writer."""
        self._until: memoryview | None = None
        try:
            # The clock of the values begins anew with the machine, and so must the file: it belongs under /run.
            self._until = memoryview(mmap.mmap(-1, _BYTES) if file is None else _mapped(file)).cast("d")
        except OSError as error:
            logger.warning("nobody knows who wrote lately, so the primary answers all", extra={"reason": str(error)})

    def note(self, principal: str, *, seconds: float) -> None:
        """Take `principal` for a writer from now on, for so long."""
        if self._until is not None:
            self._until[_place(principal)] = time.monotonic() + seconds

    def include(self, principal: str) -> bool:
        """Tell whether `principal` may have written lately."""
        return self._until is None or self._until[_place(principal)] > time.monotonic()


def _place(principal: str) -> int:
    return crc32(principal.encode()) % _PLACES


def _mapped(file: Path) -> mmap.mmap:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, _BYTES)
        return mmap.mmap(descriptor, _BYTES)
    finally:
        os.close(descriptor)
