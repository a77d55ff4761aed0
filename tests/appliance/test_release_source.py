"""Where a release comes from: a wheel, a directory, a name in a repository; and what is refused in plain words."""

import shutil
import subprocess

import pytest

from appliance.output import RefusedError
from appliance.release import source

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(place, *words: str) -> str:
    command = ["git", "-C", place, "-c", "user.name=x", "-c", "user.email=x@example.tw", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


@pytest.fixture
def repository(tmp_path):
    """Return a repository with two versions, the first of them tagged."""
    place = tmp_path / "checkout"
    (place / "app/luckygas").mkdir(parents=True)
    git(place, "init", "--quiet", "--initial-branch=main")
    for version in ("1", "2"):
        (place / "app/luckygas/version.py").write_text(f'__version__ = "{version}"\n')
        git(place, "add", ".")
        git(place, "commit", "--quiet", "--message", version)
        git(place, "tag", f"v{version}")
    (place / "app/luckygas/version.py").write_text("not committed")
    return place


@pytest.fixture(autouse=True)
def built(monkeypatch):
    """Return which sources were built, by their version, instead of building them."""
    versions = []

    def build(place, _):
        versions.append((place / "app/luckygas/version.py").read_text())
        return place

    monkeypatch.setattr(source, "built", build)
    return versions


@pytest.mark.parametrize(("name", "version"), [("v1", "1"), ("main", "2"), ("HEAD~1", "1")])
def test_what_was_committed_under_a_name_is_built_whatever_lies_in_the_working_tree(repository, built, name, version):
    with source.wheel_of(name, str(repository)):
        assert built == [f'__version__ = "{version}"\n']


def test_a_repository_may_be_elsewhere_and_a_commit_be_said_in_short(repository, built):
    commit = git(repository, "rev-parse", "--short", "v1")
    with source.wheel_of(commit, f"file://{repository}"):
        assert built == ['__version__ = "1"\n']


def test_a_directory_is_taken_as_it_is(repository, built):
    with source.wheel_of(str(repository), "."):
        assert built == ["not committed"]


@pytest.mark.parametrize("name", ["v3", "--help", "v1; reboot"])
def test_a_name_that_the_repository_does_not_know_is_refused(repository, built, name):
    with pytest.raises(RefusedError, match="there is no"), source.wheel_of(name, str(repository)):
        pass
    assert built == []


def test_without_a_repository_it_says_how_to_name_one(tmp_path):
    with pytest.raises(RefusedError, match="by --repository"), source.wheel_of("v1", str(tmp_path)):
        pass


def test_a_commit_without_the_service_is_refused(repository):
    git(repository, "rm", "--quiet", "-rf", "app")
    (repository / "README").write_text("")
    git(repository, "add", "README")
    git(repository, "commit", "--quiet", "--message", "empty")
    with pytest.raises(RefusedError, match="no source of the service"), source.wheel_of("main", str(repository)):
        pass


def test_a_wheel_is_a_wheel_even_if_it_is_missing(tmp_path):
    with source.wheel_of("v1.whl", str(tmp_path)) as wheel:
        assert wheel.name == "v1.whl"


def test_a_directory_without_a_source_is_refused(tmp_path, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(RefusedError, match="no source"), source.wheel_of(str(tmp_path), "."):
        pass
