"""Judging the machine: units, the service, disks, the certificate, versions."""

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from appliance.output import CRITICAL, OK, WARNING, counted
from appliance.release import installed, serving
from appliance.status.check import Check, judged
from appliance.system import run
from appliance.units import shown

TARGET = "luckygas.target"
CERTIFICATE = Path("/etc/nginx/tls/current/fullchain.pem")
CERTIFY = "journalctl -u certbot -n 30; systemctl start certbot"
REBOOT = Path("/run/reboot-required")
DATA = ("/", "/var/lib/postgresql", "/var/lib/pgbackrest", "/var/log")
PACKAGES = ("postgresql-17", "pgbouncer", "redis-server", "nginx", "prometheus", "prometheus-alertmanager")
LEAST_FREE, LITTLE_FREE = 0.15, 0.25
RENEWAL_DAYS = 14


def wanted() -> list[str]:
    """Return the units that make the appliance."""
    return shown([TARGET], "Wants")[0]["Wants"].split()


def units() -> Iterator[Check]:
    """Judge every unit of the target: whether it runs, or last ended well."""
    yield from of_units(shown(wanted(), "Id", "ActiveState", "Type", "Result"))


def of_units(states: Iterable[dict[str, str]]) -> Iterator[Check]:
    """Judge what systemd says of each unit."""
    states = list(states)
    bad = [one for one in states if not runs(one)]
    yield (
        Check("services", OK, f"{len(states) - len(bad)} of {len(states)} run")
        if not bad
        else Check(
            "services",
            CRITICAL,
            ", ".join(f"{one['Id']} {one['ActiveState']}" for one in bad),
            "each does something that nobody else does",
            f"systemctl status {' '.join(one['Id'] for one in bad)}",
        )
    )


def runs(state: dict[str, str]) -> bool:
    """Tell whether a unit is as it should be; one that does its work and ends has not to be there."""
    if state.get("Type") == "oneshot":
        return state["ActiveState"] != "failed"
    return state["ActiveState"] in {"active", "activating", "reloading"}


def service() -> Iterator[Check]:
    """Ask every web instance for its health, on its own socket."""
    release = installed.current()
    for path in sorted(Path("/run").glob("luckygas-web-*/app.sock")):
        name = path.parent.name.removeprefix("luckygas-web-")
        status, found = serving.ask(name, "/api/v1/health")
        if not status:
            why = "requests go to the other instance alone"
            what = f"journalctl -u luckygas-web@{name}"
            yield Check(f"service.{name}", CRITICAL, f"no answer ({found['problem']})", why, what)
            continue
        severity = {"ok": OK, "degraded": WARNING}.get(found["status"], CRITICAL)
        reasons = "; ".join(found["reasons"])
        what = f"journalctl -u luckygas-web@{name}" if severity else ""
        yield Check(f"service.{name}", severity, f"{found['status']}, release {found['release']}", reasons, what)
        if found["release"] != release:
            yield Check(
                f"service.{name}.release", WARNING, f"{found['release']} instead of {release}",
                "the two instances may answer differently", f"systemctl restart luckygas-web@{name}",
            )  # fmt: skip


def disks() -> Iterator[Check]:
    """Judge the file systems that data lies on, each once."""
    seen = set()
    for place in DATA:
        if Path(place).exists() and (device := Path(place).stat().st_dev) not in seen:
            seen.add(device)
            usage = shutil.disk_usage(place)
            yield of_disk(place, usage.free / usage.total, usage.free)


def of_disk(place: str, share: float, free: int) -> Check:
    """Judge the free space of a file system."""
    return judged(
        f"disk.{place}",
        good=share >= LITTLE_FREE,
        found=f"{share:.0%} free ({free / 1e9:.1f} GB)",
        why="PostgreSQL stops when it is full",
        what=f"du -xhd2 {place} | sort -h | tail",
        severity=CRITICAL if share < LEAST_FREE else WARNING,
    )


def certificate() -> Iterator[Check]:
    """Judge the certificate that is served."""
    link = CERTIFICATE.parent
    if not CERTIFICATE.exists():
        yield Check("certificate", CRITICAL, "there is none", "nobody can connect", CERTIFY)
        return
    told = run(["openssl", "x509", "-noout", "-enddate", "-in", CERTIFICATE], timeout=10).stdout
    ends = datetime.strptime(told.strip().removeprefix("notAfter="), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    yield of_certificate(link.readlink().name, (ends - datetime.now(UTC)).days)


def of_certificate(kind: str, days: int) -> Check:
    """Judge a certificate by where it came from and how many days are left."""
    if kind.startswith("placeholder"):
        why = "it is signed by this machine itself, so clients do not trust it"
        return Check("certificate", WARNING, "the placeholder", why, CERTIFY)
    return judged(
        "certificate",
        good=days >= RENEWAL_DAYS,
        found=f"ends in {counted(days, 'day')}",
        why="it should have been renewed by now",
        what=CERTIFY,
        severity=CRITICAL if days < 3 else WARNING,  # noqa: PLR2004 - hardly time for a second look
    )


def restart() -> Iterator[Check]:
    """Tell whether the machine itself waits for a restart."""
    yield judged(
        "machine.restart_pending",
        good=not REBOOT.exists(),
        found="the machine waits for a restart" if REBOOT.exists() else "no",
        why="a new kernel is installed and not in force",
        what="systemctl reboot",
    )


def versions() -> dict[str, str]:
    """Return what is installed."""
    told = run(["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", *PACKAGES], timeout=10).stdout
    found = dict(line.split(" ", 1) for line in told.splitlines() if len(line.split(" ")) > 1)
    return {"luckygas": installed.current() or "none"} | found | {"kernel": os.uname().release}
