"""What is due when: the guide's calendar."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from appliance.backup.record import LOCAL, S3, Record
from appliance.doctor import commands as doctor
from appliance.doctor.settings import Settings as Doctor
from appliance.output import ago
from appliance.reports import figures
from appliance.reports.report import Line
from appliance.rotate.secrets import ages
from appliance.status import commands as status
from appliance.status.parts import OLD_SECRET_DAYS
from appliance.system import PAGES, run

SHOWN = 15


def findings() -> Iterator[Line]:
    """Yield what the doctor finds wrong."""
    settings = Doctor.load()
    for check in doctor.look(settings, settings.ignored):
        if check.severity:
            yield Line(f"{check.id}: {check.found}; {check.why}. Type: {check.type}", check.id)


def backups() -> Iterator[Line]:
    """Yield how the backups are; what is wrong with them is among the findings."""
    for check in status.look_at("backups"):
        yield Line(f"{check.id}: {check.found}")


def errors() -> Iterator[Line]:
    """Yield who complained in the last day, how often, and what was said last."""
    fields = "--output-fields=_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,MESSAGE"
    command = ["journalctl", "--quiet", "--since=-1d", "--priority=err", "--output=json", fields]
    counts: Counter[str] = Counter()
    last: dict[str, str] = {}
    for line in run(command, timeout=120).stdout.splitlines():
        told = json.loads(line)
        name = str(told.get("_SYSTEMD_UNIT") or told.get("SYSLOG_IDENTIFIER") or "kernel")
        counts[name] += 1
        last[name] = str(told.get("MESSAGE", ""))
    for name, count in counts.most_common(SHOWN):
        yield Line(f"{count:>6} by {name}, the last: {last[name][:160]}", f"errors of {name}")


def updates(*, security: bool = False) -> Iterator[Line]:
    """Yield the packages for which Debian has something newer, or for which that mends a hole."""
    asked = run(["apt-get", "--quiet=2", "update"], timeout=600)
    if asked.returncode:
        yield Line(f"Debian could not be asked: {asked.stderr.strip()[-200:]}", "Debian could not be asked")
    foretold = run(["apt-get", "--simulate", "--quiet", "dist-upgrade"], timeout=120).stdout
    yield from upgrades(foretold.splitlines(), security=security)


def upgrades(lines: Iterable[str], *, security: bool) -> Iterator[Line]:
    """Read what apt would do: Inst NAME [OLD] (NEW ORIGIN [ARCHITECTURE])."""
    for line in lines:
        if line.startswith("Inst ") and (not security or "-security" in line.lower()):
            name, new = line.split()[1], line.partition("(")[2].split(" ")[0]
            yield Line(f"{name} {new}", f"{name} {new}")


def disaster() -> Iterator[Line]:
    """Yield what would be left if the machine were gone, and what to try."""
    now = datetime.now(UTC).astimezone()  # when the report of a new quarter is made, the old one goes on in Greenwich
    record = Record.load()
    quarter = f"{now.year}, quarter {(now.month - 1) // 3 + 1}"
    for place, name in ((LOCAL, "on this machine"), (S3, "in the bucket")):
        proof = record.last_good(place)
        restored = f"{proof.label}, {ago(now.timestamp() - proof.at)}" if proof else "none"
        yield Line(f"the newest backup {name} that was restored: {restored}")
    copied = f"the bucket is as it was {ago(now.timestamp() - record.copied_at)}"
    yield Line(copied if record.copied_at else "there is no bucket")
    # That a machine can be made anew is known once it was done; this is the day to do it.
    yield Line(
        f"try it on another machine, with your own copy of the passphrase: {PAGES}/disaster-recovery.md",
        f"the drill of {quarter}",
    )


def secrets() -> Iterator[Line]:
    """Yield how old each secret is."""
    for name, days in ages().items():
        yield Line(f"{name} is {days:.0f} days old", f"{name} is old" if days > OLD_SECRET_DAYS else "")


def certificate() -> Iterator[Line]:
    """Yield how the certificate is."""
    for check in status.look_at("certificate"):
        yield Line(f"{check.id}: {check.found}")


Make = Callable[[], Iterable[Line]]

PERIODS: dict[str, dict[str, Make]] = {
    "daily": {
        "What the doctor finds": findings,
        "Backups": backups,
        "Who complained in the last day": errors,
    },
    "weekly": {
        "Alerts that fired": figures.alerts,
        "How the service was": figures.service,
        "Updates that wait": updates,
    },
    "monthly": {
        "Security updates that wait": lambda: updates(security=True),
        "Room": figures.room,
        "The slowest routes": figures.routes,
        "The statements that took most": figures.statements,
    },
    "quarterly": {
        "If this machine were gone": disaster,
        "Secrets": secrets,
        "API keys": figures.keys,
        "Certificate": certificate,
    },
}
