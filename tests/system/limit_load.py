"""Clients that hold a key and ask through nginx as fast as they can, or at their own pace."""

import http.client
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from machine import ROOT, Machine

PATH = "/api/v1/orders?limit=1"
FORBIDDEN_PATH = "/api/v1/drivers"
"""What these keys may not ask: it counts like anything else, and what is measured is not the database."""
# Longer than any lease lives that another process may hold, so that what it gives back can be had.
INSISTING_SECONDS = 4
EDGE_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Reply:
    """What became of one request."""

    began: float
    seconds: float
    status: int
    headers: dict[str, str]

    def left(self, window: str) -> tuple[int, int]:
        """Return what is left in a window, and after how many seconds it begins anew."""
        found = re.search(rf'"{window}";r=(\d+);t=(\d+)', self.headers["ratelimit"])
        return int(found[1]), int(found[2])


class Client:
    """One connection that is kept, and opened again when the server ends it.

    nginx bounds what one address may ask for in a second, before any key is looked at: then it asks again later.
    """

    def __init__(self, appliance: Machine):
        self._address = appliance.address
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, key: str, path: str = PATH, **headers: str) -> Reply:
        sent = {"Host": "localhost", "Authorization": f"Bearer {key}"} | headers
        began = time.time()
        while True:
            if self._connection is None:
                context = ssl._create_unverified_context()  # noqa: SLF001
                self._connection = http.client.HTTPSConnection(self._address, 443, context=context, timeout=15)
            try:
                self._connection.request("GET", path, headers=sent)
                answer = self._connection.getresponse()
                answer.read()
                if answer.status != http.client.TOO_MANY_REQUESTS or "ratelimit-policy" in answer.headers:
                    break
                began = time.time() + EDGE_PAUSE_SECONDS
                time.sleep(EDGE_PAUSE_SECONDS)
            except (http.client.RemoteDisconnected, ConnectionResetError):  # kept for as long as nginx likes
                self.close()
        told = {name.lower(): value for name, value in answer.getheaders()}
        if told.get("connection") == "close":
            self.close()
        return Reply(began, time.time() - began, answer.status, told)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def side_by_side(appliance: Machine, clients: int, work: Callable[[Client], None]) -> None:
    """Have so many clients do `work` at the same time, and fail if one of them does."""
    with ThreadPoolExecutor(clients) as threads:
        for done in [threads.submit(_work_and_close, work, Client(appliance)) for _ in range(clients)]:
            done.result()


def _work_and_close(work: Callable[[Client], None], client: Client) -> None:
    with closing(client):
        work(client)


def drive_over_the_edge(appliance: Machine, key: str, path: str, *, clients: int) -> list[Reply]:
    """Ask with `key` until nothing was allowed for longer than a lease lives; return all answers in their order."""
    replies: list[Reply] = []
    lock, last_allowed = threading.Lock(), time.monotonic()

    def ask(client: Client) -> None:
        nonlocal last_allowed
        while time.monotonic() - last_allowed < INSISTING_SECONDS:
            reply = client.get(key, path)
            with lock:
                replies.append(reply)
                if reply.status != http.client.TOO_MANY_REQUESTS:
                    last_allowed = time.monotonic()
            if reply.status == http.client.TOO_MANY_REQUESTS:
                time.sleep(0.1)

    side_by_side(appliance, clients, ask)
    return sorted(replies, key=lambda reply: reply.began)


def statuses(replies: list[Reply]) -> Counter[int]:
    """Return how often there was which status."""
    return Counter(reply.status for reply in replies)


def make_keys(appliance: Machine, count: int, tier: str = "basic") -> list[str]:
    """Make many keys at once, by the service's own code with its own settings and secrets."""
    program = "sed 's#/venv/bin/luckygas-app\"#/venv/bin/python\" -#' /usr/local/sbin/luckygas-app"
    appliance.run(f"{program} >/tmp/luckygas-python")
    maker = (ROOT / "tests/system/make_keys.py").read_text()
    return appliance.run(f"sh /tmp/luckygas-python {tier} {count}", stdin=maker).split()
