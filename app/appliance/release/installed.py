"""The releases on this machine: building one from its wheel, and the links that say which of them serves."""

import gzip
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from appliance.backup.taking import bytes_below, require
from appliance.output import RefusedError
from appliance.release.places import CURRENT, INSTANCES, MARK, RELEASES
from appliance.system import run

BUILD_SECONDS = 900
# Beside those that are in use: what one may go back to.
KEPT_RELEASES = 5
# How the machine reaches the package index, where it needs more than the index' name in /etc/pip.conf.
REACH = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "PIP_CERT")
# What a virtual environment takes while none is there to be measured.
EXPECTED_BYTES = 300 << 20


def reach() -> dict[str, str]:
    """Return what a program needs to know to reach what lies outside."""
    return {name: os.environ[name] for name in REACH if name in os.environ}


def names() -> list[str]:
    """Return the releases that are installed, the latest first."""
    marks = sorted(RELEASES.glob(f"*/{MARK}"), key=lambda mark: mark.stat().st_mtime, reverse=True)
    return [mark.parent.name for mark in marks]


def is_installed(release: str) -> bool:
    """Tell whether a release is there as a whole."""
    return (RELEASES / release / MARK).exists()


def target(link: Path) -> str:
    """Return the release that a link names; nothing where it is not there, or names one that is gone."""
    found = link.resolve().name if link.is_symlink() else ""
    return found if found and is_installed(found) else ""


def current() -> str:
    """Return the release that is in force."""
    return target(CURRENT)


def point(link: Path, release: str) -> None:
    """Have a link name a release; a process that starts meanwhile finds the old one or the new."""
    link.parent.mkdir(parents=True, exist_ok=True)
    next_link = link.with_name(f".{link.name}.next")
    next_link.unlink(missing_ok=True)
    next_link.symlink_to(RELEASES / release)
    next_link.replace(link)


def prune(kept: Iterable[str]) -> list[str]:
    """Remove old releases; those that are `kept`, that a link names, or that are among the latest stay."""
    links = [CURRENT, *INSTANCES.glob("*")]
    stay = {*kept, *names()[:KEPT_RELEASES], *(target(link) for link in links)}
    gone = [path for path in RELEASES.iterdir() if path.name not in stay]
    for path in gone:
        (path / MARK).unlink(missing_ok=True)
        shutil.rmtree(path)
    return [path.name for path in gone]


def version_of(wheel: Path) -> str:
    """Return the version of a wheel of the service; refuses whatever else it is given."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = archive.namelist()
            told = next(name for name in inside if re.fullmatch(r"luckygas-[^/]+\.dist-info/METADATA", name))
            metadata = archive.read(told).decode()
            archive.getinfo("luckygas/requirements.lock")
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError) as problem:
        raise RefusedError(
            f"{wheel} is no wheel of the service: {type(problem).__name__} {problem}. Give one, or the source's app/"
        ) from None
    found = re.search(r"^Version: ([0-9A-Za-z.+]+)$", metadata, re.MULTILINE)
    if not found:
        raise RefusedError(f"{wheel} does not say its version")
    return found[1]


def name_of(wheel: Path) -> str:
    """Return the name of the release that a wheel is: its version, and a digest of it."""
    return f"{version_of(wheel)}-{hashlib.sha256(wheel.read_bytes()).hexdigest()[:8]}"


def install(wheel: Path, release: str) -> None:
    """Build a release from its wheel, which carries the lock of its dependencies, each with a digest.

    The mark comes last, so that a build that was broken off starts anew.
    """
    place = RELEASES / release
    require(RELEASES, size_of(current()), f"the release {release}", "and do this again")
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    file = place / f"luckygas-{version_of(wheel)}-py3-none-any.whl"
    shutil.copyfile(wheel, file)
    lock = place / "requirements.lock"
    with zipfile.ZipFile(file) as archive:
        lock.write_bytes(archive.read("luckygas/requirements.lock"))
    pip = [place / "venv/bin/pip", "--quiet", "--disable-pip-version-check", "install"]
    for command in (
        ["python3", "-m", "venv", "--clear", place / "venv"],
        [*pip, "--require-hashes", "--only-binary", ":all:", "--requirement", lock],
        [*pip, "--no-deps", file],
        [place / "venv/bin/luckygas-app", "--help"],  # it loads all of the service, for a line of each command
    ):
        result = run(command, timeout=BUILD_SECONDS, environment=reach())
        if result.returncode:
            raise RefusedError(f"{release} cannot be built: {last_words(result.stderr)}; nothing that runs was touched")
    publish(place)
    (place / MARK).touch()


def publish(place: Path) -> None:
    """Put what pages load where nginx finds it by the release's name, and compress it once for all."""
    link = place / "static"
    link.unlink(missing_ok=True)
    for found in (place / "venv/lib").glob("python3*/site-packages/luckygas/web/static"):
        link.symlink_to(found.relative_to(place))
        for file in (one for one in found.iterdir() if one.suffix != ".gz"):
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))


def size_of(release: str) -> int:
    """Return what another release like this one will take, in bytes."""
    return bytes_below(RELEASES / release) if release else EXPECTED_BYTES


def last_words(text: str) -> str:
    """Return what a program complained of: the error of its last traceback, or else the last few lines."""
    before, traceback, last = text.rpartition("Traceback (most recent call last):")
    lines = [line for line in (last if traceback else before + last).splitlines() if line.strip()]
    if traceback:
        # Frames are indented; what follows the error itself, as SQLAlchemy's hints do, is left out.
        lines = [line for line in lines if not line.startswith(" ")][:1]
    return " ".join(" ".join(lines[-3:]).split()) or "it said nothing"
