"""A server that behaves like each outside company, also when it does not behave."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request

from luckygas.clients.http import SIGNATURE, Account, is_signed
from serving import served

SECRET = "partner-secret"  # noqa: S105 - there is nothing behind it
NAMES = ("google", "sms", "banking", "einvoice")


class Partners:
    """The four companies: `mode` says how they behave, `requests` keeps what they were asked, by path."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.requests: list[tuple[str, Any]] = []
        self.settlements: list[dict[str, Any]] = []
        self.invoices: dict[str, dict[str, str]] = {}
        self.void: list[str] = []
        self.accounts: dict[str, str] = {}
        self.hold = threading.Event()
        self.numbers = itertools.count(10_000_001)
        self.url = ""

    @property
    def configuration(self) -> dict[str, Account]:
        """Return what the service is told about them."""
        url = self.url.replace("//", "//lucky@")
        return {name: Account(url=f"{url}/{name}", secret=SECRET) for name in NAMES}

    def behave(self, answer: Callable[[], Any]) -> Any:
        """Answer as the mode says."""
        self.requests.append((request.path, request.get_json(silent=True) or request.form.to_dict()))
        match self.mode:
            case "slow":
                time.sleep(0.1)
            case "timeout":
                self.hold.wait(10)
            case "malformed":
                return Response("<html>", 200)
            case "500" | "429" | "400":
                return Response("no", int(self.mode))
        if not request.path.startswith(("/google", "/sms")):
            presented = request.headers.get(SIGNATURE, "")
            if not is_signed(SECRET, request.get_data(), presented, now=time.time()):
                return Response("bad signature", 401)
        answered = answer()
        # Done, and nobody hears of it.
        return Response("no", 502) if self.mode == "lost" else answered

    def _void(self, number: str) -> dict[str, str]:
        if number not in self.void:
            self.void.append(number)
        return {"number": number}

    def app(self) -> Flask:
        """Return the four of them as one app."""
        app = Flask("partners")

        @app.post("/google/directions/v2:computeRoutes")
        def route() -> Any:
            count = len(request.json["intermediates"])
            if "X-Goog-FieldMask" not in request.headers:
                return Response("no mask", 400)
            found = {"routes": [{"optimizedIntermediateWaypointIndex": list(reversed(range(count)))}]}
            return self.behave(lambda: jsonify(found))

        @app.post("/sms/SmSend")
        def send() -> Any:
            status = "v" if request.form["dstaddr"] == "0900000000" else "1"
            text = f"[1]\r\nmsgid=#{request.form['clientid']}\r\nstatuscode={status}\r\nAccountPoint=98\r\n"
            return self.behave(lambda: Response(text, mimetype="text/plain"))

        @app.post("/banking/virtual-accounts")
        def open_account() -> Any:
            number = self.accounts.setdefault(request.json["reference"], f"9988{next(self.numbers):010}")
            return self.behave(lambda: {"account": number})

        @app.post("/banking/settlements/query")
        def settlements() -> Any:
            day = request.json["day"]
            return self.behave(lambda: {"items": [one for one in self.settlements if one["paid_at"].startswith(day)]})

        @app.post("/einvoice/invoices")
        def issue() -> Any:
            new = {"number": f"AB{next(self.numbers)}", "random_code": "1234"}
            return self.behave(lambda: self.invoices.setdefault(request.json["RelateNumber"], new))

        @app.post("/einvoice/invoices/void")
        def void() -> Any:
            return self.behave(lambda: self._void(request.json["InvoiceNumber"]))

        return app


@contextmanager
def running() -> Iterator[Partners]:
    """Serve them on a free port of the loopback."""
    partners = Partners()
    with served(partners.app(), partners.hold) as partners.url:
        yield partners
