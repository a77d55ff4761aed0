"""How all outside companies are spoken to: bounded in time, guarded by a breaker, every answer checked for its form."""

import hashlib
import hmac
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from pybreaker import CircuitBreakerError
from pydantic import BaseModel, ValidationError

from luckygas import spans
from luckygas.clients.breaker import Breaker
from luckygas.errors import Hopeless
from luckygas.instruments import PARTNER_CALLS

TIMEOUT_SECONDS: Final = (2.0, 5.0)  # to connect, to answer
TRIES: Final = 3
SIGNATURE: Final = "X-Signature"
SIGNATURE_AGE_SECONDS: Final = 300

_SECONDS: Final = re.compile("[0-9]{1,12}")


class Outcome(StrEnum):
    """How a call ended, as it is counted."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    LEFT_ALONE = "left_alone"


class Away(Exception):  # noqa: N818 - a state
    """The other side did not serve us this time; the same request may work later."""


class Refused(Hopeless):
    """The other side understood and said no: the same request will not work later."""


class NotConfigured(Hopeless):
    """Nobody has told this appliance how to reach that company."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Where a company is reached and as whom."""

    url: str
    secret: str = field(repr=False)

    @property
    def user(self) -> str:
        """Return the user in the URL."""
        return urlsplit(self.url).username or ""

    @property
    def base(self) -> str:
        """Return the URL without the user."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


class Partner:
    """One outside company."""

    def __init__(self, account: Account | None, breaker: Breaker) -> None:
        """Prepare; nothing is sent yet."""
        self._account = account
        self.breaker = breaker
        for outcome in Outcome:
            PARTNER_CALLS.labels(self.name, outcome)  # from 0 on, as with all that is judged by its increase

    @property
    def name(self) -> str:
        """Return what it is called here."""
        return str(self.breaker.name)

    @property
    def is_configured(self) -> bool:
        """Tell whether somebody has told us how to reach it."""
        return self._account is not None

    @property
    def account(self) -> Account:
        """Return where it is reached, or raise `NotConfigured`."""
        if self._account is None:
            variable = f"LUCKYGAS_{self.name.upper()}_URL"
            raise NotConfigured(f"{self.name} is not configured: set {variable}, then replay this")
        return self._account

    def send(self, method: str, path: str, *, read: Callable[[str], Any], repeat: bool, **request: Any) -> Any:
        """Send a request and return its answer as `read` understands it; raise `Away` or `Refused`.

        `repeat` says that a repetition does no harm, so that a hiccup is not worth a failure.
        """
        url = self.account.base + path
        outcome = Outcome.FAILED
        try:
            answer = self.breaker.call(self._exchange, method, url, read, TRIES if repeat else 1, request)
            outcome = Outcome.ANSWERED
        except CircuitBreakerError as error:
            outcome = Outcome.LEFT_ALONE
            raise Away(str(error)) from None
        except Refused:
            outcome = Outcome.REFUSED
            raise
        else:
            return answer
        finally:
            PARTNER_CALLS.labels(self.name, outcome).inc()

    def _exchange(self, method: str, url: str, read: Callable[[str], Any], tries: int, request: Any) -> Any:
        for left in reversed(range(tries)):
            try:
                with spans.within(f"{method} {self.name}", kind="client", attributes=self._described(method, url)):
                    return self._try(method, url, read, request)
            except Away:
                if not left:
                    raise
            time.sleep(random.uniform(0.1, 0.4))  # noqa: S311 - so that not all come back at once
        raise AssertionError("unreachable")

    def _described(self, method: str, url: str) -> dict[str, str]:
        base = self.account.base
        return {
            "http.request.method": method,
            "peer.service": self.name,
            "server.address": urlsplit(base).hostname or "",
            # Without what the operator was told of the address, which may hold a secret.
            "url.template": url.removeprefix(base),
        }

    def _try(self, method: str, url: str, read: Callable[[str], Any], request: Any) -> Any:
        try:
            answer = requests.request(method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **request)
        except requests.RequestException as error:
            raise Away(f"{self.name} did not answer: {type(error).__name__}") from None
        status = answer.status_code
        if (span := spans.current()) is not None:
            span.set_attribute("http.response.status_code", status)
        # Some say 403 to whoever calls too fast.
        too_fast = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT}
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in too_fast:
            raise Away(f"{self.name} answered {status}")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise Refused(f"{self.name} answered {status}")
        try:
            return read(answer.text)
        except ValidationError as error:
            raise Away(f"{self.name} sent an answer of {error.error_count()} unknown forms") from None


def send_signed(partner: Partner, path: str, body: Mapping[str, Any], *, read: type[BaseModel]) -> Any:
    """Send JSON under a signature. Each such request names what it is about, so a repetition does no harm."""
    account = partner.account
    data = json.dumps(body, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Account": account.user,
        SIGNATURE: signature(account.secret, data, at=int(time.time())),
    }
    return partner.send("POST", path, read=read.model_validate_json, repeat=True, data=data, headers=headers)


def signature(secret: str, body: bytes, *, at: int) -> str:
    """Return `t=SECONDS,v1=HEX`: who has the secret sent this body at that time."""
    mac = hmac.digest(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hex()}"


def is_signed(secret: str, body: bytes, presented: str, *, now: float) -> bool:
    """Tell whether `presented` is a signature of `body` that was made just now."""
    at = presented.partition(",")[0].removeprefix("t=")
    if _SECONDS.fullmatch(at) is None or abs(now - int(at)) > SIGNATURE_AGE_SECONDS:
        return False
    return hmac.compare_digest(signature(secret, body, at=int(at)).encode(), presented.encode())
