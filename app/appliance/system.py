"""The operating system, as thin as possible: commands with time-outs, files that are replaced as a whole, a log."""

import contextlib
import fcntl
import grp
import os
import pwd
import signal
import subprocess
import sys
import syslog
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "PGCONNECT_TIMEOUT": "2",
    "PGAPPNAME": "luckygas",
}
TIMED_OUT = 124
PAGES = Path("/usr/local/share/luckygas/docs")


class BusyError(Exception):
    """Another operation holds the lock."""


def open_log(name: str) -> None:
    """Say under which name to write to the journal."""
    syslog.openlog(name, syslog.LOG_PID, syslog.LOG_DAEMON)


def log(message: str) -> None:
    """Write to the journal, and to the terminal when somebody watches."""
    syslog.syslog(syslog.LOG_NOTICE, message)
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):  # it may be gone meanwhile
            print(message, file=sys.stderr, flush=True)


def log_traceback(problem: BaseException) -> None:
    """Write to the journal alone where a problem came from."""
    syslog.syslog(syslog.LOG_ERR, "".join(traceback.format_exception(problem)))


def run(
    command: Sequence[str | Path],
    *,
    timeout: float | None = None,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    told: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a time-out kills it and counts as exit code 124.

    `environment` is what it gets more, `told` what it reads: a secret stands in no argument.
    """
    try:
        return subprocess.run(  # noqa: S603 - every caller passes constants and names that were checked
            [str(word) for word in command],
            env={**ENVIRONMENT, **(environment or {})},
            input=told,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd="/",
            check=False,
            **identity(user),
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), TIMED_OUT, "", f"no answer within {timeout:g} s")


def begin(command: Sequence[str | Path], *, user: str | None = None, **streams: Any) -> subprocess.Popen:
    """Start a command and go on. Its streams are as Popen takes them; it reads nothing unless they say so."""
    streams = {"stdin": subprocess.DEVNULL, **streams}
    words = [str(word) for word in command]
    return subprocess.Popen(words, env=ENVIRONMENT, cwd="/", **streams, **identity(user))  # noqa: S603 - as in `run`


def pipe(
    source: Sequence[str | Path],
    sink: Sequence[str | Path],
    *,
    source_user: str | None = None,
    sink_user: str | None = None,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> str:
    """Run a command on what another one prints; returns what they complained of when one failed, or nothing."""
    with tempfile.TemporaryFile() as complaints:
        with begin(source, user=source_user, stdout=subprocess.PIPE, stderr=complaints) as first:
            second = begin(sink, user=sink_user, stdin=first.stdout, stdout=stdout, stderr=complaints)
            second.wait()
        if not first.returncode and not second.returncode:
            return ""
        complaints.seek(0)
        codes = f"{source[0]} ended with {first.returncode}, {sink[0]} with {second.returncode}"
        return " ".join(complaints.read().decode(errors="replace").split()) or codes


def identity(user: str | None) -> dict[str, object]:
    """Return the arguments with which subprocess becomes a user; nothing when it is that user already."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def write_file(  # noqa: PLR0913 - each said by name
    path: Path,
    content: str,
    *,
    mode: int,
    owner: str | None = None,
    group: str | None = None,
    durable: bool = True,
) -> None:
    """Replace a file: a reader and a crash see the old content or the new; `durable`: the new, from here on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)
        if owner:
            entry = pwd.getpwnam(owner)
            os.fchown(descriptor, entry.pw_uid, entry.pw_gid)
        if group:
            os.fchown(descriptor, -1, grp.getgrnam(group).gr_gid)
        # Unlike os.write, it fails where a full disk takes a part only.
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content.encode())
        if durable:
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    temporary.replace(path)
    if not durable:
        return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def end_at_signals() -> None:
    """Have what systemd or a closed terminal sends end the work as Ctrl-C does, so that it is cleaned up.

    Under nohup a closed terminal ends nothing.
    """
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]

    def end(number: int, _: object) -> None:
        # A closed terminal sends it twice, by its shell and by the kernel: the second one must not end the cleaning up.
        for each in numbers:
            signal.signal(each, lambda *_: None)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for each in numbers:
        signal.signal(each, end)


@contextlib.contextmanager
def locked(file: Path, patience: float, busy: str) -> Iterator[None]:
    """Keep every other holder of this file out. The kernel gives the lock back when its holder dies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BusyError(busy) from None
                time.sleep(0.02)  # flock has no time-out of its own
        yield
    finally:
        os.close(descriptor)


def has_replaced_files(pid: int) -> bool:
    """Tell whether a package upgrade replaced the program or a library of a running process."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.endswith("(deleted)") and "/usr/" in line and " r-xp " in line:
                return True
    return False
