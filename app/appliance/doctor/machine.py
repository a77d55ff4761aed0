"""The operating system: time, locale, kernel, disks, the journal."""

import locale
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance.doctor.examination import Found, examines
from appliance.doctor.settings import Settings
from appliance.output import CRITICAL, counted
from appliance.status.machine import DATA
from appliance.system import run

LOCALTIME = Path("/etc/localtime")
ZONES = Path("/usr/share/zoneinfo")
LOCALE = Path("/etc/locale.conf")
KERNEL = Path("/etc/sysctl.d/60-luckygas.conf")
LOGS = Path("/var/log")
LEAST_INODES = 0.1
LARGE_LOG_BYTES = 1 << 30
HELD_BYTES = 512 << 20
FEW_MEMORY = 0.1


@examines("time.zone", why="days, bills and nightly work begin at another hour", what="ls -l /etc/localtime")
def zone(settings: Settings) -> Iterator[str]:
    """Compare the machine's zone with that of the answers."""
    found = LOCALTIME.resolve()
    if found != (ZONES / settings.timezone).resolve():
        yield f"the machine's is {found.relative_to(ZONES) if found.is_relative_to(ZONES) else found}"


@examines("time.clock", why="tokens, certificates and logs go by it", what="timedatectl timesync-status")
def clock(settings: Settings) -> Iterator[str]:
    """Ask whether the clock is kept right."""
    told = run(["timedatectl", "show", "--property=NTPSynchronized", "--value"], timeout=10).stdout.strip()
    if settings.owns_kernel and told != "yes":
        yield "the clock is not synchronised"


@examines("locale", why="programs fall back to one without Chinese", what="locale -a; cat /etc/locale.conf")
def language(_: Settings) -> Iterator[str]:
    """Ask for the locale of all services, and whether there is one of that name in UTF-8."""
    found = re.search(r"^LANG=(\S+)", LOCALE.read_text() if LOCALE.exists() else "", re.MULTILINE)
    name = found[1] if found else "not set"
    there = {locale.normalize(one).lower() for one in run(["locale", "-a"], timeout=10).stdout.split()}
    if locale.normalize(name).lower() not in there or not name.lower().endswith(("utf-8", "utf8")):
        yield f"LANG is {name}"


@examines("kernel.settings", why="Redis may fail to save, or connections be refused", what="sysctl --system")
def kernel(settings: Settings) -> Iterator[str]:
    """Compare what the kernel works with and what the appliance's file says."""
    if settings.owns_kernel:
        wanted = dict(re.findall(r"^([\w.]+) *= *(\S+)$", KERNEL.read_text(), re.MULTILINE))
        for name, value in wanted.items():
            try:
                has = Path("/proc/sys", *name.split(".")).read_text().strip()
            except PermissionError:
                continue  # some can be read by an unbounded root alone, and the reports are made by one with bounds
            if has != value:
                yield f"{name} is {has} instead of {value}"


@examines("memory.swap", why="the database waits for the disk where it counts on memory", what="systemd-cgtop -m")
def swap(_: Settings) -> Iterator[str]:
    """Ask how much is swapped out while little memory is left."""
    kib = {
        name: int(size)
        for name, size in re.findall(r"^(\w+):\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    }
    used = kib["SwapTotal"] - kib["SwapFree"]
    if kib["MemAvailable"] < FEW_MEMORY * kib["MemTotal"] and used > FEW_MEMORY * kib["MemTotal"]:
        yield f"{used >> 10} MB are swapped out and {kib['MemAvailable'] >> 10} MB are left"


@examines("disk.inodes", why="no file can be made, though there is room", what="df -i", severity=CRITICAL)
def inodes(_: Settings) -> Iterator[str]:
    """Ask how many files the file systems of the data have room for."""
    for place in filter(os.path.isdir, DATA):
        told = os.statvfs(place)
        if told.f_files and told.f_favail < LEAST_INODES * told.f_files:
            yield f"{place} has room for {counted(told.f_favail, 'file')}"


@examines(
    "disk.read_only",
    why="nothing can be written",
    what="journalctl -k -p err; findmnt -o TARGET,OPTIONS",
    severity=CRITICAL,
)
def read_only(_: Settings) -> Iterator[str]:
    """Find file systems of the data that the kernel does not write to, as it does after an error."""
    for place in filter(os.path.isdir, DATA):
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            yield f"{place} is read-only"


@examines("disk.held", why="its room comes back when the process ends it", what="ls -l /proc/[0-9]*/fd | grep deleted")
def held(_: Settings) -> Iterator[Found]:
    """Find removed files whose room a process still holds, which du does not show."""
    seen = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            about = link.stat()
            name = str(link.readlink())
        except OSError:
            continue
        key = (about.st_dev, about.st_ino)
        if not about.st_nlink and about.st_blocks * 512 > HELD_BYTES and key not in seen and name.startswith("/"):
            seen.add(key)
            # Memory that is shared has such names, too, and lies on no disk.
            if not name.startswith(("/dev/shm", "/memfd:")):  # noqa: S108 - compared, not used
                yield Found(f"process {link.parts[2]} holds {about.st_blocks >> 11} MB of {name}")


@examines("logs.large", why="it is not rotated, and grows until the disk is full", what="ls -lhS {}")
def large_logs(_: Settings) -> Iterator[Found]:
    """Find logs that grew past any rotation."""
    for file in LOGS.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size > LARGE_LOG_BYTES:
            yield Found(f"{file} has {file.stat().st_size >> 20} MB", str(file))


@examines(
    "journal.bounds",
    why="it forgets at boot, or fills the disk",
    what="systemd-analyze cat-config systemd/journald.conf",
)
def journal(_: Settings) -> Iterator[str]:
    """Ask journald's settings for what the last file says."""
    yield from unbounded(
        run(["systemd-analyze", "cat-config", "systemd/journald.conf"], timeout=10).stdout.splitlines()
    )


def unbounded(lines: Iterable[str]) -> Iterator[str]:
    """Judge journald's settings."""
    told = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if told.get("Storage") != "persistent":
        yield f"Storage is {told.get('Storage') or 'not set'}"
    if not told.get("SystemMaxUse"):
        yield "it may become as large as it likes"
