"""Clients of the service, on the machine itself: from addresses of their own choice, past the edge, or many through it.

python3 alert_clients.py ask INSTANCE ADDRESS KEY PATH      a request from an address; prints its status
python3 alert_clients.py attack INSTANCE NETWORK COUNT      so many addresses of a network attack until they are blocked
python3 alert_clients.py place KEY                          a customer and an order, whose id is printed
python3 alert_clients.py keep KEY COUNT                     so many create customers through the edge, for ever
python3 alert_clients.py get|put URL                        a request to anybody; prints the answer
"""

import contextlib
import http.client
import json
import socket
import ssl
import sys
import threading
import urllib.request
from functools import partial

ATTACK = "/api/v1/orders?status=x%27%20or%201=1--"
BLOCKED = "403"
CUSTOMER = {
    "kind": "restaurant",
    "name": "鼎泰小館",
    "mobile": "0912-345-678",
    "address": "臺北市大安區信義路二段194號",
}


def ask(instance: str, address: str, key: str, path: str) -> str:
    """Ask an instance for a path as its nginx does for a client at an address; return the status."""
    lines = [f"GET {path} HTTP/1.0", "Host: localhost", f"X-Forwarded-For: {address}"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    with socket.socket(socket.AF_UNIX) as nginx:
        nginx.connect(f"/run/luckygas-web-{instance}/app.sock")
        nginx.sendall("\r\n".join([*lines, "", ""]).encode())
        return nginx.recv(100).split()[1].decode()


def attack(instance: str, network: str, count: str) -> None:
    """Attack from so many addresses, from each until it is blocked."""
    for number in range(1, int(count) + 1):
        while ask(instance, f"{network}.{number}", "", ATTACK) != BLOCKED:
            pass


def post(key: str, path: str, body: object) -> dict:
    """Send a request through the edge; return its answer."""
    connection = http.client.HTTPSConnection("127.0.0.1", context=ssl._create_unverified_context(), timeout=30)  # noqa: SLF001
    sent = {"Host": "localhost", "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", f"/api/v1{path}", json.dumps(body), sent)
    with connection.getresponse() as answer:
        return json.load(answer)


def place(key: str) -> None:
    """Create a customer and an order of theirs."""
    customer = post(key, "/customers", CUSTOMER)
    lines = [{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 780}]
    print(post(key, "/orders", {"customer_id": customer["id"], "lines": lines})["id"])


def keep(key: str, count: str) -> None:
    """Create customers for ever, whatever is answered."""

    def work() -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                post(key, "/customers", CUSTOMER)

    for thread in [threading.Thread(target=work) for _ in range(int(count))]:
        thread.start()


def send(method: str, url: str) -> str:
    """Send a request without a body; return the answer."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return answer.read().decode()


if __name__ == "__main__":
    answer = {
        "ask": ask,
        "attack": attack,
        "place": place,
        "keep": keep,
        "get": partial(send, "GET"),
        "put": partial(send, "PUT"),
    }[sys.argv[1]](*sys.argv[2:])
    print(answer or "", end="")
