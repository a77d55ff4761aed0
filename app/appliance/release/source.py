"""Where a release comes from: a wheel, the source of one, or a name in a git repository."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.output import RefusedError
from appliance.release.installed import reach
from appliance.system import run

BUILD_SECONDS, FETCH_SECONDS = 300, 300


@contextmanager
def wheel_of(given: str, repository: str) -> Iterator[Path]:
    """Yield the wheel that was given, or that which the directory or the commit that was given makes."""
    path = Path(given)
    if path.is_file() or given.endswith(".whl"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="luckygas-source-") as place:
        source = path if path.is_dir() else checked_out(given, repository, Path(place))
        yield built(source, Path(place) / "dist")


def checked_out(name: str, repository: str, place: Path) -> Path:
    """Take the source of a tag, a branch or a commit out of a repository; its working tree does not matter."""
    if not run(["sh", "-c", "command -v git"]).stdout:
        raise RefusedError(f"{name} is no file and no directory, and to look for it in git takes Debian's package git")
    if Path(repository).is_dir():
        repository = str(Path(repository).resolve())  # git does not stand here
    bare = place / "repository"
    clone = ["git", "clone", "--quiet", "--bare", "--", repository, bare]
    # A repository of whoever typed sudo is one that git trusts, when it knows who that was.
    asked = {"SUDO_UID": os.environ["SUDO_UID"]} if "SUDO_UID" in os.environ else {}
    copied = run(clone, timeout=FETCH_SECONDS, environment=reach() | asked)
    if copied.returncode:
        raise RefusedError(
            f"{name} is no file and no directory, and {repository} is no git repository: {words(copied.stderr)}; "
            "name one by --repository"
        )
    found = run(["git", "-C", bare, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"])
    if found.returncode:
        raise RefusedError(f"there is no {name} in {repository}; git -C {repository} log --all --oneline shows what is")
    archive, source = place / "source.tar", place / "source"
    source.mkdir()
    for command in (
        ["git", "-C", bare, "archive", f"--output={archive}", found.stdout.strip(), "app"],
        ["tar", "--extract", "--no-same-owner", f"--file={archive}", f"--directory={source}"],
    ):
        result = run(command, timeout=FETCH_SECONDS)
        if result.returncode:
            raise RefusedError(f"{name} of {repository} holds no source of the service: {words(result.stderr)}")
    return source


def built(given: Path, place: Path) -> Path:
    """Build the wheel of a source; the same source is the same wheel."""
    source = next((place for place in (given, given / "app") if (place / "luckygas/version.py").is_file()), None)
    if source is None:
        raise RefusedError(f"{given} holds no source of the service: luckygas/version.py is neither in it nor in app/")
    command = ["python3", "-m", "hatchling", "build", "--target", "wheel", "--directory", place]
    # hatchling builds where it stands.
    result = run(["/usr/bin/env", f"--chdir={source.resolve()}", *command], timeout=BUILD_SECONDS)
    if result.returncode:
        raise RefusedError(f"the wheel cannot be built: {words(result.stderr)}; it takes Debian's python3-hatchling")
    return next(place.glob("luckygas-*.whl"))


def words(complaint: str) -> str:
    """Return the end of what a program complained of, in one line."""
    return " ".join(complaint.split()[-40:])
