"""gunicorn's settings: each name here is one of its own, the values come from ours."""

import os
import signal
import sys
from socket import socket
from typing import Any, override

from gunicorn import glogging
from gunicorn.workers.gthread import ThreadWorker

from luckygas import instruments
from luckygas.accounts.usage import UseCounter
from luckygas.config import Settings
from luckygas.environment import SettingsError
from luckygas.ops import tracing
from luckygas.ops.logging import configuration
from luckygas.resources import Resources
from luckygas.web.limits import Limits
from luckygas.web.suspects import watch_of

try:
    _settings = Settings.from_environ()
except SettingsError as _error:
    sys.exit(f"luckygas cannot start:\n{_error}")


class Logger(glogging.Logger):
    """Logs what gunicorn itself has to say; of each request nginx writes a line."""

    @override
    def access(self, *_: Any) -> None:
        """Do nothing: to put together a line that nobody reads takes as long as a guard."""


class WholeAnswer:
    """A socket that keeps the head of an answer until there is something of its body, or the answer ends."""

    def __init__(self, sock: socket) -> None:
        """Send over this one."""
        self._sock = sock
        self._head: bytes | None = None
        self._begun = False

    def __getattr__(self, name: str) -> Any:
        """Be the socket in all that does not send an answer."""
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        """Send, but for what comes first."""
        if not self._begun:
            self._begun, self._head = True, data
        else:
            head, self._head = self._head or b"", None
            self._sock.sendall(head + data)

    def flush(self) -> None:
        """Send the head of an answer without a body."""
        if self._head is not None:
            self.sendall(b"")

    def sendfile(self, *arguments: Any, **options: Any) -> int:
        """Send a file, after the head."""
        self.flush()
        return self._sock.sendfile(*arguments, **options)


class Worker(ThreadWorker):
    """Sends head and body of an answer at once, where gunicorn sends one after the other.

    nginx has the other instance answer as long as it has no head. Of an instance that dies in between, which other
    threads make long on a busy machine, it would have one, and the client an answer that breaks off.
    """

    @override
    def handle_request(self, req: Any, conn: Any) -> bool:
        sock = conn.sock
        conn.sock = whole = WholeAnswer(sock)
        try:
            is_kept = super().handle_request(req, conn)
            whole.flush()
        finally:
            conn.sock = sock
        return is_kept


_directory = os.environ.get("RUNTIME_DIRECTORY", f"/run/luckygas-web-{_settings.instance}")

bind = f"unix:{_directory}/app.sock"
worker_class = Worker
workers = _settings.web_workers
threads = _settings.web_threads
logger_class = Logger
logconfig_dict = configuration(_settings)

if _settings.traces_url:
    import luckygas.ops.collector  # noqa: F401 - here, so that the workers share what it takes

# A broken release fails at its start, before the socket is there, and the workers share the code in memory.
preload_app = True
# Longer than nginx keeps its side open, so that it is never this side that closes a connection just being used.
keepalive = 75
graceful_timeout = 30
timeout = 30
# Heartbeats are files; on a disk, a slow write would look like a dead worker.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# Its default place lies in the home directory, which the service has not, and both instances would share it.
control_socket_disable = True


def _hold_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_sigterm_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_at_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_sigterm_through()


# A worker has the parent's handlers until it has its own. They would note that it shall stop, and it would go on until
# it is killed, half a minute later.
os.register_at_fork(before=_hold_sigterm, after_in_parent=_let_sigterm_through, after_in_child=_end_at_sigterm)


def post_fork(_server: Any, worker: Any) -> None:
    """Let no worker inherit a connection that the parent process may have opened, and begin what it does beside."""
    instruments.take_seat()
    tracing.start(_settings, service="luckygas-web")
    resources = Resources.of(worker.app.wsgi())
    resources.dispose(close=False)
    resources.volatile.open()
    watch_of(worker.app.wsgi()).standings.keep_refreshing()
    _uses(worker).keep_writing(resources.sessions)


def worker_exit(_server: Any, worker: Any) -> None:
    """Write down and give back what is left, and say goodbye to the database."""
    resources = Resources.of(worker.app.wsgi())
    Limits.of(worker.app.wsgi()).quota.return_leases()
    _uses(worker).write(resources.sessions)
    resources.dispose()
    tracing.stop()


def _uses(worker: Any) -> UseCounter:
    return worker.app.wsgi().extensions["luckygas.callers"].uses
