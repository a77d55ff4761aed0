"""What others see of this machine: its names, its certificate, its open ports."""

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL
from appliance.status.machine import CERTIFICATE
from appliance.system import run

SECONDS = 5
SSHD = Path("/usr/sbin/sshd")


@examines("names.resolve", why="who types it does not get here", what="getent hosts {}; then ask whoever has your DNS")
def names(settings: Settings) -> Iterator[Found]:
    """Ask for an address of each name of the service."""
    for name in settings.names:
        # What is called localhost never has one of its own, by RFC 6761.
        if not name.endswith("localhost") and run(["getent", "ahosts", name], timeout=SECONDS).returncode:
            yield Found(f"{name} has no address", name)


@examines(
    "certificate.served",
    why="what was renewed does not reach anybody",
    what="nginx -t && systemctl reload nginx",
    severity=CRITICAL,
)
def served(settings: Settings) -> Iterator[str]:
    """Compare what is served under each name with what lies on disk; whether that is good, `certificate` says."""
    wanted = ssl.PEM_cert_to_DER_cert(first(CERTIFICATE.read_text()))
    for name in settings.names:
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - it is compared byte by byte
        with (
            socket.create_connection(("127.0.0.1", 443), timeout=SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=name) as talk,
        ):
            if talk.getpeercert(binary_form=True) != wanted:
                yield f"{name} is served with another one than lies on disk"


def first(chain: str) -> str:
    """Return the first certificate of a chain."""
    end = "-----END CERTIFICATE-----"
    return chain[: chain.index(end) + len(end)] + "\n"


@examines("nginx.configuration", why="nginx will not start again", what="nginx -t", severity=CRITICAL)
def configuration(_: Settings) -> Iterator[str]:
    """Have nginx read its configuration."""
    tried = run(["nginx", "-t", "-q"], timeout=15)
    if tried.returncode:
        yield tried.stderr.strip().splitlines()[0]


@examines("ports.public", why="who reaches this machine reaches it, past nginx", what="ss -ltnp", severity=CRITICAL)
def ports(settings: Settings) -> Iterator[str]:
    """Find TCP ports that others could reach, but for those that are meant to be."""
    command = ["ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes"]
    yield from outside(run(command, timeout=10).stdout.splitlines(), settings.public_ports)


def outside(lines: list[str], meant: tuple[int, ...]) -> Iterator[str]:
    """Judge the lines of ss."""
    for line in sorted(lines):
        words = line.split()
        place, port = words[3].rsplit(":", 1)
        place = place.split("%")[0].strip("[]")
        if int(port) in meant or (place != "*" and ipaddress.ip_address(place).is_loopback):
            continue
        owner = re.search(r'"([^"]+)"', line)
        yield f"{owner[1] if owner else 'a program'} listens on {words[3]}"


@examines(
    "ssh.passwords", why="the whole world guesses it, day and night", what="sshd -T | grep -i -e root -e password"
)
def passwords(_: Settings) -> Iterator[str]:
    """Ask whether root may log in by a password."""
    if not SSHD.exists():
        return
    told = run([SSHD, "-T"], timeout=10)
    if told.returncode:
        yield told.stderr.strip().splitlines()[0]
        return
    words = dict(line.split(" ", 1) for line in told.stdout.splitlines() if " " in line)
    if words["permitrootlogin"] == "yes" and words["passwordauthentication"] == "yes":
        yield "root may log in by a password"
