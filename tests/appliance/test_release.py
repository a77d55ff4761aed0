"""Releases: what is refused before anything is touched, and the way back when a process is not well."""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pytest

from appliance.output import FailedError, RefusedError, say
from appliance.release import checking, commands, installed, listing, places, rolling, serving, state
from appliance.release.checking import Schema
from appliance.release.serving import NotServingError
from appliance.release.state import FAILED, IN_FORCE, Entry, State

EVERYTHING = ["a", "b", "worker", "metrics"]
SETTINGS = places.Settings(("a", "b"), ())


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """Let releases lie in a directory of the test."""
    for module in (installed, serving, listing, rolling):
        for name in ("RELEASES", "CURRENT", "INSTANCES"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name.lower())
    (tmp_path / "releases").mkdir()
    monkeypatch.setattr(State.load.__func__, "__defaults__", (tmp_path / "state.json",))
    monkeypatch.setattr(State.save, "__defaults__", (tmp_path / "state.json",))
    monkeypatch.setattr(rolling, "log", lambda _: None)
    return tmp_path


class LostTerminal(io.StringIO):
    """That of a connection that is gone."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


def have(root: Path, *names: str) -> None:
    for name in names:
        (root / "releases" / name).mkdir()
        (root / "releases" / name / places.MARK).touch()


class Processes:
    """Stand-ins for what serves: `bad` are pairs of process and release that do not come to work."""

    def __init__(self, monkeypatch, *bad: tuple[str, str]):
        self.bad, self.begun = bad, []
        monkeypatch.setattr(serving, "begin", self.begin)
        monkeypatch.setattr(serving, "try_out", lambda release: self.begin(places.CANDIDATE, release))
        monkeypatch.setattr(serving, "is_due", lambda process, release, _: self.serves.get(process) != release)
        monkeypatch.setattr(checking, "tool", lambda _, word, *__: "up to date" if word == "migrate" else "")
        monkeypatch.setattr(checking, "require_both_can_serve", lambda *_: None)
        monkeypatch.setattr(checking, "require_backup", lambda _: None)
        self.serves: dict[str, str] = {}

    def begin(self, process: str, release: str) -> None:
        self.begun.append((process, release))
        if (process, release) in self.bad:
            raise NotServingError(f"{release} on {process}: red")
        if process != places.CANDIDATE:
            self.serves[process] = release


def put(release: str, tell=lambda _: None) -> list[str]:
    return rolling.put_in_force(release, SETTINGS, with_backup=True, say=tell)


def test_a_release_serves_on_the_side_first_then_one_process_after_the_other(root, monkeypatch):
    have(root, "1-old", "2-new")
    world = Processes(monkeypatch)
    put("1-old")
    assert [process for process, _ in world.begun] == EVERYTHING, "there is nothing to be spared yet"
    world.begun.clear()
    assert put("2-new") == [*EVERYTHING, "current: 2-new"]
    assert [process for process, _ in world.begun] == [places.CANDIDATE, *EVERYTHING]
    assert installed.current() == "2-new"
    world.begun.clear()
    assert put("2-new") == []
    assert world.begun == []


def test_one_that_is_not_well_on_the_side_touches_nothing(root, monkeypatch):
    have(root, "1-old", "2-new")
    world = Processes(monkeypatch, (places.CANDIDATE, "2-new"))
    put("1-old")
    with pytest.raises(FailedError, match="1-old serves as before"):
        put("2-new")
    assert (installed.current(), world.serves) == ("1-old", dict.fromkeys(EVERYTHING, "1-old"))
    assert State.load().history[-1].outcome == FAILED


@pytest.mark.parametrize("process", EVERYTHING)
def test_the_old_one_comes_back_everywhere_wherever_the_new_one_fails(root, monkeypatch, process):
    have(root, "1-old", "2-new")
    world = Processes(monkeypatch, (process, "2-new"))
    put("1-old")
    world.begun.clear()
    with pytest.raises(FailedError, match="1-old serves again"):
        put("2-new")
    touched = EVERYTHING[: EVERYTHING.index(process) + 1]
    assert world.begun == [
        (places.CANDIDATE, "2-new"),
        *((one, "2-new") for one in touched),
        *((one, "1-old") for one in reversed(touched)),
    ]
    assert installed.current() == "1-old"
    assert set(world.serves.values()) == {"1-old"}


def test_settings_that_do_not_work_stop_at_the_first_instance(root, monkeypatch):
    have(root, "1-old")
    world = Processes(monkeypatch)
    put("1-old")
    world.serves, world.bad = {}, (("a", "1-old"),)
    world.begun.clear()
    with pytest.raises(FailedError):
        put("1-old")
    assert world.begun == [("a", "1-old")]


def test_whoever_breaks_it_off_gets_the_old_one_back(root, monkeypatch):
    have(root, "1-old", "2-new")
    world = Processes(monkeypatch)
    put("1-old")

    def broken_off(process, release):
        if (process, release) == ("b", "2-new"):
            raise KeyboardInterrupt
        world.begin(process, release)

    monkeypatch.setattr(serving, "begin", broken_off)
    with pytest.raises(KeyboardInterrupt):
        put("2-new")
    assert installed.current() == "1-old"
    assert set(world.serves.values()) == {"1-old"}
    assert (State.load().history[-1].outcome, State.load().history[-1].why) == (FAILED, "KeyboardInterrupt")


def test_the_old_one_comes_back_though_nobody_can_be_told(root, monkeypatch):
    have(root, "1-old", "2-new")
    world = Processes(monkeypatch, ("b", "2-new"))
    put("1-old")
    with monkeypatch.context() as lost:
        lost.setattr(sys, "stdout", LostTerminal())
        with pytest.raises(FailedError, match="1-old serves again"):
            put("2-new", say)
    assert installed.current() == "1-old"
    assert set(world.serves.values()) == {"1-old"}
    assert State.load().history[-1].outcome == FAILED


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        (Schema(("1", "2")), Schema(("1", "2", "3")), None),
        (Schema(("1", "2")), Schema(("1", "2", "3"), "2"), None),
        (Schema(("1",)), Schema(("1", "2", "3"), "2"), "knows the migration 2"),
        (Schema(("1", "2", "3"), "2"), Schema(("1", "2")), None),
        (Schema(("1", "2", "3"), "2"), Schema(("1",)), "taken away"),
        (Schema(), Schema(("1", "2"), "1"), "knows the migration 1"),
    ],
)
def test_what_takes_away_waits_until_nobody_uses_it(monkeypatch, old, new, refusal):
    monkeypatch.setattr(checking, "schema_of", {"old": old, "new": new}.get)
    if refusal is None:
        checking.require_both_can_serve("old", "new")
    else:
        with pytest.raises(RefusedError, match=refusal):
            checking.require_both_can_serve("old", "new")


def test_a_rollback_leads_to_what_was_in_force_before_and_back_again(root):
    have(root, "1-old", "3-newest")
    history = [Entry("1-old", 1, 1, IN_FORCE), Entry("2-gone", 2, 1, IN_FORCE), Entry("3-newest", 3, 1, IN_FORCE)]
    seen = state.State("", [*history, Entry("4-bad", 4, 1, FAILED, "red")])
    assert listing.previous(seen, "3-newest") == "1-old", "one that is gone cannot come back, one that failed never was"
    seen.history.append(Entry("1-old", 5, 1, IN_FORCE))
    assert listing.previous(seen, "1-old") == "3-newest"


def test_only_old_releases_that_nobody_needs_go(root):
    names = [f"{number}" for number in range(9)]
    have(root, *names)
    (root / "releases" / "half-built").mkdir()
    installed.point(root / "current", "0")
    installed.point(root / "instances/b", "1")
    latest = installed.names()[: installed.KEPT_RELEASES]
    installed.prune(["2"])
    assert {path.name for path in (root / "releases").iterdir()} == {"0", "1", "2", *latest}


def test_a_link_to_what_is_gone_or_half_built_names_nothing(root):
    (root / "releases" / "half-built").mkdir()
    for name in ("half-built", "gone"):
        installed.point(root / "current", name)
        assert installed.current() == ""


def test_a_release_is_named_after_its_version_and_its_content(tmp_path):
    def wheel(content: str) -> Path:
        path = tmp_path / "any name.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("luckygas-0.2.0.dist-info/METADATA", "Name: luckygas\nVersion: 0.2.0\n")
            archive.writestr("luckygas/requirements.lock", content)
        return path

    one, other = installed.name_of(wheel("a")), installed.name_of(wheel("b"))
    assert one != other
    assert one.startswith("0.2.0-")


def test_what_is_no_wheel_of_the_service_is_refused(tmp_path):
    (tmp_path / "other.whl").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "foreign.whl", "w") as archive:
        archive.writestr("flask-3.0.dist-info/METADATA", "Name: flask\nVersion: 3.0\n")
    for name in ("other.whl", "foreign.whl", "missing.whl"):
        with pytest.raises(RefusedError, match=r"no wheel of the service"):
            installed.name_of(tmp_path / name)


def test_the_words_for_a_failure_are_the_last_of_a_traceback():
    assert installed.last_words("Traceback (most recent call last):\n  File\nValueError: no\n") == "ValueError: no"
    first = "Traceback (most recent call last):\n  File\nDivisionByZero: x\n\nThe above exception was the cause\n\n"
    then = "Traceback (most recent call last):\n  File\nDataError: by zero\n[SQL: 1 / 0]\n(Background)\n"
    assert installed.last_words(first + then) == "DataError: by zero"
    assert installed.last_words("one\n\ntwo\nthree\nfour\n") == "two three four"
    assert installed.last_words("") == "it said nothing"


def test_a_release_without_an_argument_needs_one_that_is_there(root):
    with pytest.raises(RefusedError, match="give a wheel"):
        commands.refuse_nothing()


def test_what_pages_load_is_found_by_the_release_and_compressed(root):
    have(root, "1-old")
    place = root / "releases/1-old"
    files = place / "venv/lib/python3.13/site-packages/luckygas/web/static"
    files.mkdir(parents=True)
    (files / "docs.css").write_text("body {}" * 100)
    for _ in range(2):
        installed.publish(place)
        assert sorted(one.name for one in (place / "static").iterdir()) == ["docs.css", "docs.css.gz"]
    assert gzip.decompress((place / "static/docs.css.gz").read_bytes()) == (files / "docs.css").read_bytes()


def test_a_release_whose_pages_load_nothing_is_one_too(root):
    have(root, "1-old")
    installed.publish(root / "releases/1-old")
    assert not (root / "releases/1-old/static").exists()
