"""Speaking to a Redis or a Sentinel with the standard library alone, and never waiting long."""

import contextlib
import socket
from collections.abc import Iterator

from appliance.redis.settings import HOST

TIMEOUT_SECONDS = 0.5


class SilentError(Exception):
    """Nobody answers: `hangs` when somebody took the connection and then said nothing."""

    def __init__(self, problem: OSError | EOFError) -> None:
        """Keep what happened."""
        super().__init__(str(problem) or "the connection was closed")
        self.hangs = isinstance(problem, TimeoutError)


class ReplyError(Exception):
    """The server answers with an error, in its own words."""


class Connection:
    """One connection. Calling it sends a command and returns the reply."""

    def __init__(self, stream: socket.socket) -> None:
        """Speak over this stream."""
        self.stream = stream
        self.file = stream.makefile("rb")

    def __call__(self, *words: str | int) -> object:
        """Send one command; an error is raised."""
        parts = [str(word).encode() for word in words]
        request = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        try:
            self.stream.sendall(b"*%d\r\n%b" % (len(parts), request))
            return self.read()
        except (OSError, EOFError) as problem:
            raise SilentError(problem) from problem

    def read(self) -> object:
        """Return the next reply."""
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, text = line[:1], line[1:-2].decode()
        match kind:
            case b"+":
                return text
            case b"-":
                raise ReplyError(text)
            case b":":
                return int(text)
            case b"$" if int(text) >= 0:
                return self.file.read(int(text) + 2)[:-2].decode(errors="replace")
            case b"*" if int(text) >= 0:
                return [self.read() for _ in range(int(text))]
            case _:
                return None

    def table(self, *words: str | int) -> dict[str, str]:
        """Return a reply of names and values, one after the other."""
        flat = self(*words)
        if not isinstance(flat, list):
            return {}
        return {str(name): str(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}

    def info(self) -> dict[str, str]:
        """Return what INFO says."""
        return dict(line.split(":", 1) for line in str(self("INFO")).splitlines() if ":" in line)


@contextlib.contextmanager
def connect(port: int, password: str, *, timeout: float = TIMEOUT_SECONDS) -> Iterator[Connection]:
    """Open a connection as the user admin."""
    try:
        stream = socket.create_connection((HOST, port), timeout)
    except OSError as problem:
        raise SilentError(problem) from problem
    with stream:
        connection = Connection(stream)
        connection("AUTH", "admin", password)
        yield connection
