"""What the service sends: addresses to block, some that never are, and what nobody understands. Nothing ever waits."""

import json
import socket

NOT_UNDERSTOOD = (b"", b"\xff", b"[]", b'{"address": "203.0.113.1"}', b"[" * 2000)
BLOCK = [
    {"address": f"203.0.{third}.{last}", "seconds": 600, "reason": "of three hundred"}
    for third in range(3)
    for last in range(100)
]
NEVER = [
    {"address": address, "seconds": 600}
    for address in ("127.0.0.1", "10.66.0.7", "::1", "::ffff:127.0.0.1", "192.0.2.1; flush ruleset")
]
LIFT = [
    {"address": "203.0.0.0", "seconds": 0},
    {"address": "203.0.113.200", "seconds": 0},
]

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
    service.connect("/run/luckygas-block/socket")
    service.settimeout(10)
    for datagram in (*NOT_UNDERSTOOD, *(json.dumps(one).encode() for one in (*NEVER, *BLOCK, *LIFT))):
        service.send(datagram)
