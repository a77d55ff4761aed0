"""Waiting for what comes about by itself, and failing when it does not."""

import time
from collections.abc import Callable


def eventually[T](condition: Callable[[], T], what: str = "it", *, seconds: float = 60) -> T:
    """Ask until the answer is a true one, and return that; `what` is what the test waits for."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.01)
    return answer
