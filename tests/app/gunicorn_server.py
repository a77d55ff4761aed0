"""The service as its unit runs it: gunicorn, its settings, a socket."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from waiting import eventually

COMMAND = [sys.executable, "-m", "gunicorn", "--config=python:luckygas.gunicorn", "luckygas.wsgi:app"]
# Where a process that a test starts finds its programs and its modules.
SEARCHED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, as nginx speaks it."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Server:
    """The master, whose workers are its children, and the socket of all of them."""

    process: subprocess.Popen
    socket: Path

    def get(self, target: str) -> http.client.HTTPResponse:
        """Ask as nginx does; the answer has its `body`."""
        connection = SocketConnection(self.socket)
        headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Connection": "close"}
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        response.body = response.read()
        connection.close()
        return response

    def stop(self, *, seconds: float = 60) -> str:
        """Stop it as systemd does, and return what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=seconds)[0]


def environment_in(directory: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the unit gives the service whose settings are `environ`; it writes to `directory` alone."""
    own = {"RUNTIME_DIRECTORY": str(directory), "HOME": str(directory), "PYTHONWARNINGS": "error"}
    return {**environ, **SEARCHED, **own}


def accepts(path: Path) -> bool:
    """Tell whether somebody listens on a socket; its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.connect(str(path))
        return True
    return False


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[Server]:
    """Start the service, and yield it as soon as it has its socket; it is over at the end, stopped or not."""
    path = Path(environment["RUNTIME_DIRECTORY"], "app.sock")
    with subprocess.Popen(  # noqa: S603
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            eventually(lambda: accepts(path) or process.poll() is not None, "the socket of the service")
            yield Server(process, path)
        finally:
            process.kill()
