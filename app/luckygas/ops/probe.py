"""Asking a dependency how it is without ever waiting for longer than one has."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Probe:
    """Runs one check in a thread of its own; `check` returns what is wrong, or None.

    A driver cannot be interrupted while a server hangs, so the thread may outlast the question. There is never more
    than one: who asks meanwhile waits for the same answer.
    """

    def __init__(self, check: Callable[[], str | None]) -> None:
        """Prepare; nothing runs before `start`."""
        self._check = check
        self._lock = threading.Lock()
        self._answer: Future[str | None] | None = None

    def start(self) -> Future[str | None]:
        """Return the answer to come, of the check under way or else of a new one."""
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer = Future()
                # A daemon, so that a server that hangs cannot keep this process from stopping.
                threading.Thread(target=self._run, args=(self._answer,), daemon=True).start()
            return self._answer

    def _run(self, answer: Future[str | None]) -> None:
        try:
            answer.set_result(self._check())
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
            answer.set_exception(error)
