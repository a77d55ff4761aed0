"""A device of the VPN, in a network namespace of its own on the machine.

device.py ping ADDRESS FILE        ping ten times a second until the file is there; prints how many were sent, how many
                                   were lost, and when the last answer came, in seconds since the epoch
device.py ask URL [HEADER VALUE]   ask for a page; prints the status, and where it leads
"""

import http.client
import select
import socket
import struct
import sys
import time
import urllib.parse
from pathlib import Path

EVERY_SECONDS, PATIENCE_SECONDS = 0.1, 2.0
ECHO_REQUEST, ECHO_REPLY = 8, 0
IDENTIFIER = 0x1CC


def packet(number: int) -> bytes:
    """Return an echo request."""
    words = (ECHO_REQUEST << 8, IDENTIFIER, number)
    total = sum(words)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return struct.pack("!HHHH", words[0], checksum, *words[1:])


def hear(ear: socket.socket, waiting: set[int], seconds: float) -> float:
    """Take answers for so long; returns when the last one came."""
    until, last = time.monotonic() + seconds, 0.0
    while (left := until - time.monotonic()) > 0 and select.select([ear], [], [], left)[0]:
        kind, _, identifier, number = struct.unpack("!BxHHH", ear.recv(2048)[20:28])
        if (kind, identifier) == (ECHO_REPLY, IDENTIFIER):
            waiting.discard(number)
            last = time.time()
    return last


def ping(address: str, stop: Path) -> None:
    """Ping until it is over."""
    waiting: set[int] = set()
    sent, last = 0, 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ear:
        while not stop.exists():
            sent += 1
            waiting.add(sent)
            ear.sendto(packet(sent), (address, 0))
            last = hear(ear, waiting, EVERY_SECONDS) or last
        last = hear(ear, waiting, PATIENCE_SECONDS) or last
    print(sent, len(waiting), last)


def ask(url: str, *header: str) -> None:
    """Ask for a page."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", timeout=10)
    connection.request("GET", f"{place.path}?{place.query}", headers=dict([header]) if header else {})
    answer = connection.getresponse()
    print(answer.status, answer.headers["Location"] or "")


if sys.argv[1] == "ping":
    ping(sys.argv[2], Path(sys.argv[3]))
else:
    ask(*sys.argv[2:])
