"""Renew the certificate while clients come in, each by a connection of its own."""

import http.client
import ssl
import subprocess
import threading
import time

CERTBOT = "/usr/local/libexec/luckygas-certbot"
RENEW = [CERTBOT, "renew", "--quiet", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", "luckygas"]
stop, failures, answered = threading.Event(), [], 0


def served() -> str:
    """Return the certificate that nginx serves."""
    return ssl.get_server_certificate(("127.0.0.1", 443))


def come_in() -> None:
    """Be one client after the other."""
    global answered  # noqa: PLW0603 - one thread writes it
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - whoever signed is not the question
    while not stop.is_set():
        connection = http.client.HTTPSConnection("127.0.0.1", context=context, timeout=10)
        try:
            connection.request("GET", "/healthz", headers={"Host": "luckygas.test"})
            if connection.getresponse().status != http.client.NOT_FOUND:  # nginx's own answer
                failures.append("another status")
            answered += 1
        except OSError as problem:
            failures.append(repr(problem))
        finally:
            connection.close()


before = served()
clients = threading.Thread(target=come_in)
clients.start()
try:
    subprocess.run(RENEW, check=True)  # noqa: S603
    deadline = time.monotonic() + 10  # nginx hears of a reload, and takes a moment to turn to it
    while served() == before and time.monotonic() < deadline:
        time.sleep(0.1)
finally:
    stop.set()
    clients.join()
if served() == before:
    failures.append("the former certificate is served")
print(f"{answered} answers, {len(failures)} failures {failures[:3]}")
raise SystemExit(bool(failures) or not answered)
