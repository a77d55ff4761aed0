"""Alertmanager, as far as this program speaks to it."""

import http.client
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.output import CRITICAL, OK, WARNING, RefusedError

FILE = Path("/etc/luckygas/alerts.json")
TIMEOUT_SECONDS = 5
# These say something about the alerts themselves.
OWN = ("Watchdog", "TestAlert")


class SilentError(Exception):
    """Alertmanager does not answer."""


@dataclass(frozen=True)
class Settings:
    """Where Alertmanager is, and whom it tells."""

    port: int
    receivers: tuple[str, ...]
    heartbeat: bool
    digest: str
    """Changes whenever another receiver, or the same one in another way, is told."""

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file that Ansible (role alertmanager) writes."""
        if not file.exists():
            raise RefusedError("there is no Alertmanager on this machine yet; run the playbook")
        told = json.loads(file.read_text())
        return cls(told["port"], tuple(told["receivers"]), told["heartbeat"], told["digest"])


def call(settings: Settings, method: str, path: str, body: object = None) -> object:
    """Ask Alertmanager and return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as problem:
        raise SilentError(
            f"Alertmanager does not answer ({problem}); see: journalctl -u prometheus-alertmanager"
        ) from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise SilentError(f"Alertmanager answered {answer.status}: {text.strip()[:200]}")
    return json.loads(text) if text else None


def firing(settings: Settings) -> list[dict[str, str]]:
    """Return what fires, the gravest first: name, severity, since when, summary, and whether it was silenced."""
    found = call(settings, "GET", "/api/v2/alerts?active=true&silenced=true&inhibited=false")
    rows = [
        {
            "name": one["labels"]["alertname"],
            "severity": one["labels"].get("severity", "warning"),
            "since": one["startsAt"],
            "summary": one["annotations"].get("summary", ""),
            "state": one["status"]["state"],
        }
        for one in found  # type: ignore[attr-defined]
    ]
    return sorted(
        (row for row in rows if row["name"] not in OWN), key=lambda row: (row["severity"] != "critical", row["since"])
    )


def loud(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return those that nobody silenced."""
    return [row for row in rows if row["state"] != "suppressed"]


def gravity(rows: Iterable[dict[str, str]]) -> int:
    """Return how grave it is that these fire, as an exit code."""
    heard = loud(rows)
    if any(row["severity"] == "critical" for row in heard):
        return CRITICAL
    return WARNING if heard else OK


def is_watched(settings: Settings) -> bool:
    """Tell whether Prometheus judges: the alert that always fires is there."""
    return any(
        one["labels"]["alertname"] == "Watchdog"
        for one in call(settings, "GET", "/api/v2/alerts")  # type: ignore[attr-defined]
    )


def send_test(settings: Settings, code: str, patience: float = 20.0) -> None:
    """Send an alert that asks for this code; right after its start Alertmanager may take a moment."""
    alert = {
        "labels": {"alertname": "TestAlert", "severity": "none", "code": code},
        "annotations": {
            "summary": f"This is a test. That it arrived, say on the machine: luckygas alerts confirm {code}"
        },
    }
    deadline = time.monotonic() + patience
    while True:
        try:
            call(settings, "POST", "/api/v2/alerts", [alert])
        except SilentError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.5)  # it has no sign of its own when it is ready
        else:
            return
