"""What sshd works by, in its own words."""

from collections.abc import Mapping
from pathlib import Path

from appliance.system import run

WANTED = Path("/etc/luckygas/sshd.wanted")
CONFIRMED = Path("/etc/ssh/sshd_config.d/10-luckygas.conf")
SSHD = "/usr/sbin/sshd"
# A server that is not there, since somebody waits for connections on its behalf, reads its settings by itself.
RELOAD = ("sh", "-c", f"mkdir -p /run/sshd && {SSHD} -t && systemctl try-reload-or-restart ssh.service")
TIMEOUT_SECONDS = 10
# sshd tells of these in its own order, or by another name.
MANY = ("hostkey",)
NAMES = {"prohibit-password": "without-password"}


def asked(text: str) -> dict[str, str]:
    """Return what a file asks for, as sshd tells of it."""
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = {key.lower(): value.strip() for key, value in lines}
    return {key: NAMES.get(value, value) for key, value in found.items() if key not in MANY}


def effective() -> dict[str, str]:
    """Return what a new connection is served by; nothing when sshd does not take its settings."""
    lines = run([SSHD, "-T"], timeout=TIMEOUT_SECONDS).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def differs(text: str, told: Mapping[str, str]) -> list[str]:
    """Return what somebody else's file overrules."""
    return sorted(key for key, value in asked(text).items() if told.get(key) != value)
