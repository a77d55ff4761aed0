"""What `luckygas-block.service` runs: takes datagrams from the web service and puts them into the kernel.

All that it may do is in its unit: one capability, one socket, no other program. It answers nobody; nobody waits.
"""

import contextlib
import socket
import sys
from collections.abc import Callable, Iterable, Sequence

from appliance.block.kernel import Kernel
from appliance.block.request import Request
from appliance.firewall.rules import Settings
from appliance.output import FailedError, RefusedError

FIRST_DESCRIPTOR = 3  # of systemd's socket activation
LONGEST_DATAGRAM = 2048
AT_ONCE = 256


def receive(listener: socket.socket) -> list[bytes]:
    """Wait for a datagram, and return it with those that are there already."""
    found = [listener.recv(LONGEST_DATAGRAM)]
    with contextlib.suppress(BlockingIOError):
        while len(found) < AT_ONCE:
            found.append(listener.recv(LONGEST_DATAGRAM, socket.MSG_DONTWAIT))
    return found


def handle(
    datagrams: Sequence[bytes],
    unblockable: Sequence[str],
    apply: Callable[[Iterable[Request]], None],
    say: Callable[[str], None],
) -> None:
    """Do what the datagrams ask; what is refused or fails is said, and keeps nothing else from being done."""
    wanted = []
    for datagram in datagrams:
        try:
            wanted.append(Request.parse(datagram).check(unblockable))
        except RefusedError as problem:
            say(f"refused: {problem}")
    try:
        apply(wanted)
    except FailedError as problem:
        say(str(problem))
        return
    for request in wanted:
        say(str(request))


def serve() -> None:
    """Serve until the end."""
    kernel = Kernel()
    with socket.socket(fileno=FIRST_DESCRIPTOR) as listener:
        while True:
            datagrams = receive(listener)
            handle(datagrams, Settings.load().unblockable, kernel.apply, lambda text: print(text, file=sys.stderr))


if __name__ == "__main__":
    serve()
