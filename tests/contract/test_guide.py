"""What the guide names is there: files, tests, verbs of the command; and what other pages say holds a claim."""

import re
from pathlib import Path

import pytest

from appliance import cli

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" |")]
    for line in (ROOT / "docs/guide.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]
QUOTED = re.compile(r"`([^`]+)`")
NAMED = {
    test for page in (ROOT / "docs").glob("*.md") for test in re.findall(r"`(tests/[^` ]+::\w+)`", page.read_text())
}


def column(number: int) -> list[str]:
    return sorted({text for row in ROWS for text in QUOTED.findall(row[number])})


def test_every_row_says_where_it_is_what_shows_it_and_what_holds_it() -> None:
    assert len(ROWS) > 40
    assert [row[0] for row in ROWS if not (QUOTED.search(row[1]) and row[2] and QUOTED.search(row[3]))] == []


@pytest.mark.parametrize("path", column(1))
def test_where_it_is_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("test", sorted({*column(3), *NAMED}))
def test_what_holds_it_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert (ROOT / path).is_file()
    assert not name or f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_its_verbs_are_those_of_the_command(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    known = set(re.findall(r"^ {4}([a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert {text.split()[1] for text in column(2) if text.startswith("luckygas ")} <= known
