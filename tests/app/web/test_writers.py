import multiprocessing
from pathlib import Path

from luckygas.web.writers import Writers


def note(file: Path) -> None:
    Writers(file).note("key:abc", seconds=60)


def test_what_one_process_notes_another_knows_at_once(tmp_path: Path) -> None:
    file = tmp_path / "writers"
    here = Writers(file)
    assert not here.include("key:abc")
    other = multiprocessing.get_context("spawn").Process(target=note, args=[file])
    other.start()
    other.join()
    assert here.include("key:abc")
    assert not here.include("key:abd")


def test_a_process_that_begins_later_knows_as_much(tmp_path: Path) -> None:
    note(tmp_path / "writers")
    assert Writers(tmp_path / "writers").include("key:abc")


def test_children_share_with_their_parent_where_there_is_no_file() -> None:
    writers = Writers(None)
    child = multiprocessing.get_context("fork").Process(target=writers.note, args=["key:abc"], kwargs={"seconds": 60})
    child.start()
    child.join()
    assert writers.include("key:abc")


def test_a_write_is_over_after_its_time() -> None:
    writers = Writers(None)
    writers.note("key:abc", seconds=-1)
    assert not writers.include("key:abc")
