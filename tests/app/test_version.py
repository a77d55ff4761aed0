from pathlib import Path

from luckygas.version import release_of


def test_a_release_is_called_as_its_directory(tmp_path: Path) -> None:
    venv = tmp_path / "releases" / "0.1.0-deadbeef" / "venv"
    venv.mkdir(parents=True)
    (tmp_path / "current").symlink_to(venv.parent)
    assert release_of(str(venv)) == release_of(str(tmp_path / "current" / "venv")) == "0.1.0-deadbeef"
    assert release_of(str(tmp_path / "venv")) == "0.1.0"
