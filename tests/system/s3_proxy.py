"""Runs in the machine, between it and its S3: passes bytes on, or has faults.

    python3 s3_proxy.py LISTEN TARGET DIRECTORY

DIRECTORY/mode: pass, refuse, stall, cut N (after N bytes towards the S3), or truncate N (answers, each after N bytes).

LISTEN and TARGET are ports of the loopback, or paths of sockets. DIRECTORY/sent holds how many bytes went towards the
S3 since the mode was written last.
"""

import contextlib
import socket
import sys
import threading
from pathlib import Path

LISTEN, TARGET, DIRECTORY = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def listen(place: str) -> socket.socket:
    """Return a server at a port or a path."""
    if place.isdigit():
        return socket.create_server(("127.0.0.1", int(place)))
    return socket.create_server(place, family=socket.AF_UNIX)


def connect(place: str) -> socket.socket:
    """Return a connection to a port or a path."""
    if place.isdigit():
        return socket.create_connection(("127.0.0.1", int(place)))
    made = socket.socket(socket.AF_UNIX)
    made.connect(place)
    return made


class Fault:
    """What is to happen, and how much has passed since it was said."""

    def __init__(self) -> None:
        self.lock, self.written, self.sent = threading.Lock(), 0.0, 0

    def allows(self, count: int) -> bool:
        """Count bytes towards the S3; False when the connection is to end."""
        with self.lock:
            written = (DIRECTORY / "mode").stat().st_mtime
            if written != self.written:
                self.written, self.sent = written, 0
            self.sent += count
            (DIRECTORY / "sent").write_text(str(self.sent))
        mode, *limit = (DIRECTORY / "mode").read_text().split()
        if mode == "stall":
            threading.Event().wait(3600)
        return mode in ("pass", "truncate") or (mode == "cut" and self.sent <= int(limit[0]))


class Answers:
    """What comes back over one connection."""

    def __init__(self) -> None:
        self.received = 0

    def allows(self, count: int) -> bool:
        """Count bytes from the S3; False when the connection is to end."""
        self.received += count
        mode, *limit = (DIRECTORY / "mode").read_text().split()
        return mode != "truncate" or self.received <= int(limit[0])


def pump(source: socket.socket, sink: socket.socket, fault: Fault | Answers) -> None:
    """Pass on what comes until an end."""
    with contextlib.suppress(OSError):
        while (data := source.recv(65536)) and fault.allows(len(data)):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Serve for ever."""
    fault = Fault()
    with listen(LISTEN) as server:
        while True:
            client, _ = server.accept()
            if not fault.allows(0):
                client.close()
                continue
            target = connect(TARGET)
            threading.Thread(target=pump, args=(client, target, fault), daemon=True).start()
            threading.Thread(target=pump, args=(target, client, Answers()), daemon=True).start()


main()
