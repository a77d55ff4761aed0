"""Runs in the machine: clients of the API, through nginx, until told to stop; notes what became of every request.

    python3 release_load.py LOG RATE CLIENTS    keys on standard input, one a kind; ends when LOG.stop appears

Clients are of four kinds: HTTP/1.1 or 2, a connection that is kept or a new one for each request. Together they send
RATE requests a second, each at the moment that the rate sets for it, however long the one before took: what one waits
for the other counts. A third of them make a customer under an Idempotency-Key that stands in its name, too, the others
ask for the orders. Nothing is sent again. A line for each request: due, ended (seconds since the epoch), kind, method,
name or "-", status, error.
"""

import io
import itertools
import json
import sys
import threading
import time
from pathlib import Path

import pycurl

URL = "https://localhost/api/v1/{}"
CUSTOMER = {"kind": "shop", "mobile": "0912345678", "address": "臺北市大安區信義路二段194號"}
KINDS = {
    "1.1 kept": (pycurl.CURL_HTTP_VERSION_1_1, False),
    "1.1 new": (pycurl.CURL_HTTP_VERSION_1_1, True),
    "2 kept": (pycurl.CURL_HTTP_VERSION_2TLS, False),
    "2 new": (pycurl.CURL_HTTP_VERSION_2TLS, True),
}


def send(curl, key: str, name: str) -> tuple[int, str]:
    """Send one request; returns its status, or 0 and why there is none."""
    headers = [f"Authorization: Bearer {key}", "Content-Type: application/json"]
    answer = io.BytesIO()
    curl.setopt(pycurl.WRITEDATA, answer)
    if name == "-":
        curl.setopt(pycurl.URL, URL.format("orders"))
        curl.setopt(pycurl.HTTPGET, 1)
    else:
        curl.setopt(pycurl.URL, URL.format("customers"))
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.POSTFIELDS, json.dumps(CUSTOMER | {"name": name}))
        headers.append(f"Idempotency-Key: {name}")
    curl.setopt(pycurl.HTTPHEADER, headers)
    try:
        curl.perform()
    except pycurl.error as problem:
        return 0, str(problem)
    status = curl.getinfo(pycurl.RESPONSE_CODE)
    return status, "" if status < 300 else " ".join(answer.getvalue().decode(errors="replace").split())


def work(log, client: int, kind: str, key: str, times) -> None:
    """One client, until told to stop."""
    version, is_new = KINDS[kind]
    path = Path(log.name)
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.SSL_VERIFYPEER, 0),
        (pycurl.HTTP_VERSION, version),
        (pycurl.FORBID_REUSE, is_new),
        (pycurl.TIMEOUT, 60),
        (pycurl.NOSIGNAL, 1),
    ):
        curl.setopt(option, value)
    for number, due in enumerate(times):
        if path.with_suffix(".stop").exists():
            return
        time.sleep(max(0.0, due - time.time()))
        name = f"{path.stem}-{client}-{number}" if number % 3 == 0 else "-"
        status, error = send(curl, key, name)
        method = "GET" if name == "-" else "POST"
        log.write(f"{due:.4f}\t{time.time():.4f}\t{kind}\t{method}\t{name}\t{status}\t{error}\n")


def main() -> None:
    """Entry point."""
    path, rate, number = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    keys = sys.stdin.read().split()
    began = time.time() + 0.5
    kinds = itertools.cycle(zip(KINDS, keys, strict=True))
    with path.open("w", buffering=1) as log:
        clients = [
            threading.Thread(target=work, args=(log, n, *next(kinds), itertools.count(began + n / rate, number / rate)))
            for n in range(number)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()


main()
