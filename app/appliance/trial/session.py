"""Whence somebody types: over SSH, since when and from where; or at the console."""

import os
import pwd
import re
import time
from collections.abc import Iterator
from pathlib import Path

CONSOLES = re.compile(r"/dev/(tty\d+|ttyS\d+|ttyAMA\d+|hvc\d+|console)")


def uptime() -> float:
    """Return the seconds since the machine was started, in which the kernel also says when a process began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def ancestry(pid: int, proc: Path = Path("/proc")) -> Iterator[tuple[int, str, float]]:
    """Yield a process and its ancestors, the nearest first: number, name, when it began."""
    while pid > 0 and (file := proc / str(pid) / "stat").exists():
        head, _, tail = file.read_text().rpartition(")")
        fields = tail.split()
        yield pid, head.partition("(")[2], int(fields[19]) / os.sysconf("SC_CLK_TCK")
        pid = int(fields[1])


def connected_at() -> float | None:
    """Return when the SSH connection of this session was made, in seconds since the start of the machine.

    The nearest process of sshd serves one connection, with all sessions that share it: a second one over it is not new.
    """
    found = (began for _, name, began in ancestry(os.getpid()) if name.startswith("sshd"))
    return next(found, None)


def is_console() -> bool:
    """Tell whether somebody sits at the machine itself, or at what the provider shows of it."""
    try:
        return bool(CONSOLES.fullmatch(os.ttyname(0)))
    except OSError:
        return False


def connection() -> tuple[str, int] | None:
    """Return from which address the session came over SSH, and to which port; None when that cannot be known."""
    for pid, _, _ in ancestry(os.getpid()):
        try:
            environment = Path(f"/proc/{pid}/environ").read_text(errors="replace")
        except OSError:
            continue
        if found := re.search(r"(?:^|\0)SSH_CONNECTION=(\S+) \S+ \S+ (\d+)", environment):
            # An sshd that is not spoken to by the network says that it does not know.
            return None if found[1] == "UNKNOWN" else (found[1], int(found[2]))
    return None


def account() -> str | None:
    """Return who logged in over SSH; None when nobody did.

    The nearest process of sshd is the account's own, but for root's.
    """
    for pid, name, _ in ancestry(os.getpid()):
        if name.startswith("sshd"):
            return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    return None
