"""Clients of nginx, and a service behind it that says what it was asked:   edge.py SOCKET...

What is shown: who counts as the client, what is kept for others and what never is, that a flood is stopped, and what
there is to read while the service is away.
"""

import http.client
import json
import shutil
import socketserver
import ssl
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

MAINTENANCE = Path("/var/lib/luckygas/maintenance")
SELF, PROXY = "127.0.0.1", "127.0.0.2"
PAGE = "text/html,application/xhtml+xml"
ANSWERS = {"/public": "public, max-age=1", "/private": "private, max-age=60", "/silent": "max-age=60"}


class Service(BaseHTTPRequestHandler):
    """Answers what it was asked, and how often it was asked anything."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        Service.asked += 1
        told = {
            "client": self.headers["X-Forwarded-For"],
            "number": Service.asked,
            "tag": self.headers["If-None-Match"],
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", ANSWERS.get(self.path.split("?")[0], "no-store"))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def address_string(self) -> str:
        return "nginx"

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The service on one socket."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        Path(path).parent.mkdir(mode=0o755, exist_ok=True)
        Path(path).unlink(missing_ok=True)
        super().__init__(path, Service)
        Path(path).chmod(0o666)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer:
    """What came back: status, headers, body."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = answer.status, answer.headers, answer.read().decode()

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.text)

    def says(self, status: int, kind: str) -> bool:
        return self.status == status and self.headers["Content-Type"].startswith(kind)


def connect(source: str = SELF) -> http.client.HTTPSConnection:
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection("127.0.0.1", 443, context=context, timeout=10, source_address=(source, 0))


def ask(path: str, connection: http.client.HTTPSConnection | None = None, **headers: str) -> Answer:
    """Ask once; header names with underscores for hyphens."""
    connection = connection or connect()
    sent = {"Host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=sent)
    return Answer(connection.getresponse())


def whose() -> None:
    """Only a listed proxy says for whom it asks, and only its own word of it."""
    assert ask("/", X_Forwarded_For="203.0.113.7").told["client"] == SELF
    assert ask("/", connect(PROXY), X_Forwarded_For="203.0.113.7").told["client"] == "203.0.113.7"
    assert ask("/", connect(PROXY), X_Forwarded_For="198.51.100.1, 203.0.113.7").told["client"] == "203.0.113.7"
    assert ask("/", connect(PROXY)).told["client"] == PROXY


def burst(source: str, client: str, number: int) -> Counter[str]:
    """Send so many requests for nothing at once, from addresses of one network; returns how often which status came."""
    line = "GET /static/0/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {}\r\n\r\n"
    connection = connect(source)
    connection.connect()
    connection.sock.sendall("".join(line.format(client.format(one)) for one in range(number)).encode())
    found: list[str] = []
    with connection.sock.makefile("rb") as answers:
        while len(found) < number:
            status, length = answers.readline().decode().split()[1], 0
            while header := answers.readline().strip().lower():
                length = int(header.split(b":")[1]) if header.startswith(b"content-length") else length
            answers.read(length)
            found.append(status)
    connection.close()
    return Counter(found)


def flood() -> None:
    """Whoever does not stop is told so; another one, and this machine itself, are not."""
    statuses = burst(PROXY, "2001:db8:0:1::{:x}", 2000)
    assert set(statuses) == {"404", "429"}, statuses
    assert statuses["404"] > 400, statuses
    for _ in range(100):
        told = ask("/", connect(PROXY), X_Forwarded_For="2001:db8:0:1::1")
        if told.status == 200:  # the second is over
            break
        assert told.says(429, "application/problem+json")
        assert (told.told["code"], told.headers["Retry-After"]) == ("rate_limited", "1")
    assert ask("/", connect(PROXY), X_Forwarded_For="2001:db8:0:2::1").status == 200
    assert burst(SELF, "2001:db8:0:1::{:x}", 2000) == {"404": 2000}


def kept() -> None:
    """Only what the service calls public is kept, and neither for nor from somebody who says who they are."""
    for _ in range(20):  # it is kept for a second, which may just have ended
        first, second = ask("/public"), ask("/public")
        if (first.headers["Cache-Status"], second.headers["Cache-Status"]) == (None, "nginx; hit"):
            break
        time.sleep(0.3)
    else:
        raise AssertionError(f"nothing was kept: {second.headers}")
    assert second.told == first.told
    assert second.headers["Cache-Control"] == ANSWERS["/public"]
    for header in ({"Authorization": "Bearer x"}, {"X_API_Key": "x"}, {"Cookie": "a=b"}):
        mine = ask("/public", If_None_Match='"x"', **header)
        assert mine.told["number"] > second.told["number"]
        assert mine.told["tag"] == '"x"', "the service decides whether it is still the same"
        assert ask("/public?2", **header).told != ask("/public?2").told, "what somebody got is nobody else's"
    for path in ("/private", "/silent", "/other"):
        assert ask(path).told["number"] < ask(path).told["number"]


def closed() -> None:
    """While there is maintenance there is a page to read, an object for programs, and health."""
    MAINTENANCE.parent.mkdir(exist_ok=True)
    MAINTENANCE.touch()
    try:
        told = ask("/api/v1/orders", Authorization="Bearer x")
        assert told.says(503, "application/problem+json"), told.text
        assert told.told["code"] == "maintenance"
        assert ask("/", Idempotency_Key="x").told["code"] == "maintenance"
        page = ask("/", Accept=PAGE)
        assert page.says(503, "text/html; charset=utf-8"), page.text
        assert "維護" in page.text
        assert "back shortly" in page.text
        assert "sha256" in page.headers["Content-Security-Policy"]
        assert page.headers.get_all("Cache-Control") == told.headers.get_all("Cache-Control") == ["no-store"]
        assert page.headers["Retry-After"] == told.headers["Retry-After"] == "120"
        assert ask("/api/v1/health").status == 200
    finally:
        MAINTENANCE.unlink()
    assert ask("/").status == 200


def gone(servers: list[Server]) -> None:
    """One instance is enough; without any there is a page, an object, and what was kept."""
    assert ask("/public").status == 200
    for server in servers:
        assert ask("/").status == ask("/", Idempotency_Key="x").status == 200
        server.shutdown()
        server.server_close()
        Path(server.server_address).unlink()
    for headers in ({}, {"Idempotency_Key": "x"}):
        told = ask("/", **headers)
        assert told.says(503, "application/problem+json"), told.text
        assert (told.told["code"], told.headers["Retry-After"]) == ("service_away", "5")
    page = ask("/", Accept=PAGE)
    assert page.says(503, "text/html; charset=utf-8"), page.text
    assert ask("/public").told["client"] == SELF, "what was kept is still there"


def main() -> None:
    """Entry point."""
    servers = [Server(path) for path in sys.argv[1:]]
    whose()
    flood()
    kept()
    closed()
    gone(servers)
    for path in sys.argv[1:]:
        shutil.rmtree(Path(path).parent)


main()
