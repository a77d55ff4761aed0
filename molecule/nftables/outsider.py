"""Which ports of the machine answer, asked from outside: `outsider.py ADDRESS... [--udp]` prints a line for each.

It runs in a network namespace of its own on the machine, so that the machine's rules stand between the two. Any answer
counts: where nothing listens, a port that the rules let through refuses.
"""

import errno
import select
import socket
import sys

AT_ONCE = 8000
PATIENCE_MS = 500
PORTS = range(1, 65536)


def ask(address: str, ports: range, kind: socket.SocketKind) -> set[int]:
    """Return those of the ports that answer, all asked at the same time."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    asked, answered, poll = {}, set(), select.epoll()
    for port in ports:
        one = socket.socket(family, kind)
        one.settimeout(0)
        status = one.connect_ex((address, port))
        if kind == socket.SOCK_DGRAM:
            one.send(b"?")
        elif status not in {0, errno.EINPROGRESS}:
            sys.exit(f"{address} port {port}: {errno.errorcode[status]}")
        asked[one.fileno()] = one, port
        poll.register(one, select.EPOLLIN | (0 if kind == socket.SOCK_DGRAM else select.EPOLLOUT))
    while events := poll.poll(PATIENCE_MS / 1000):
        for descriptor, _ in events:
            one, port = asked[descriptor]
            poll.unregister(one)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in {0, errno.ECONNREFUSED}:
                answered.add(port)
    for one, _ in asked.values():
        one.close()
    return answered


kind = socket.SOCK_DGRAM if "--udp" in sys.argv else socket.SOCK_STREAM
for address in [word for word in sys.argv[1:] if word != "--udp"]:
    found = set()
    for first in range(PORTS.start, PORTS.stop, AT_ONCE):
        found |= ask(address, range(first, min(first + AT_ONCE, PORTS.stop)), kind)
    print(*sorted(found))
