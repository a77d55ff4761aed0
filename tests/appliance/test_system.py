"""What every part of the program stands on: files that are whole, and locks."""

import resource
import signal
from pathlib import Path

import pytest

from appliance.system import BusyError, end_at_signals, locked, write_file


@pytest.fixture
def small_files():
    """Let no file be longer than a page, as on a disk with no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_files")
def test_a_file_for_which_there_is_no_room_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    write_file(file, "old", mode=0o644)
    with pytest.raises(OSError, match="too large"):
        write_file(file, "n" * 9000, mode=0o644)
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert file.read_text() == "old"


def test_an_owner_that_does_not_exist_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_file(tmp_path / "state.json", "new", mode=0o644, owner="nobody-of-that-name")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_keeps_others_out_and_goes_with_its_holder(tmp_path: Path) -> None:
    file = tmp_path / "made/with/its/directory.lock"
    with locked(file, 0, "busy"):
        second = locked(file, 0.1, "it is busy")
        with pytest.raises(BusyError, match="it is busy"):
            second.__enter__()
    with locked(file, 0, "busy"):
        pass
    with locked(file, 0, "busy"), pytest.raises(BlockingIOError):
        raise BlockingIOError  # of the work, and not of the lock


@pytest.fixture
def handlers():
    """Have what happens at signals be as in a terminal, whatever runs the tests, and as it was before afterwards."""
    former = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for one, handler in former.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_does_not_end_the_cleaning_up() -> None:
    """A closed terminal sends two, and systemd another kind."""
    end_at_signals()
    with pytest.raises(KeyboardInterrupt, match="SIGHUP"):
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("handlers")
def test_a_closed_terminal_ends_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_at_signals()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        signal.raise_signal(signal.SIGTERM)
