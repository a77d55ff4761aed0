"""A wheel is a whole release."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=APP, check=True, capture_output=True)  # noqa: S603
    (path,) = directory.glob("luckygas-*.whl")
    return zipfile.ZipFile(path)


def test_every_file_of_the_package_is_in_it(wheel: zipfile.ZipFile) -> None:
    sources = {
        str(path.relative_to(APP))
        for path in (APP / "luckygas").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == sources | {"luckygas/requirements.lock"}


def test_it_carries_the_lock_that_it_was_tested_with(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("luckygas/requirements.lock") == (APP / "requirements.lock").read_bytes()


def test_it_brings_its_command(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert b"luckygas-app = luckygas.cli:main" in wheel.read(name)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_pins_every_package_by_version_and_digest_and_names_no_place(name: str) -> None:
    text = (APP / name).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    for block in blocks:
        first, *hashes = [line.strip(" \\") for line in block.splitlines()]
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; .+)?", first), first
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes)


def test_the_test_lock_has_the_versions_of_the_release() -> None:
    release, test = (
        set(re.findall(r"^\S+==\S+", (APP / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-test.lock")
    )
    assert release < test
