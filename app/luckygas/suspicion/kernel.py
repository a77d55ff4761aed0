"""Tells what blocks addresses before they reach nginx, where there is such a thing. Nothing here waits for it."""

import json
import logging
import socket
from pathlib import Path
from typing import Final

SOCKET: Final = Path("/run/luckygas-block/socket")

logger = logging.getLogger(__name__)


def tell(network: str, *, seconds: int, reason: str) -> bool:
    """Have `network` blocked for so many seconds, or let in again with 0. Tells whether the message was taken."""
    address = network.partition("/")[0]  # whose network that is, whoever reads this knows
    message = json.dumps({"address": address, "seconds": seconds, "reason": reason}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(message, str(SOCKET))
        except FileNotFoundError:
            return False  # this machine has none
        except OSError as error:
            logger.warning("the kernel was not told whom to block", extra={"network": network, "reason": str(error)})
            return False
    return True
