"""What the guide names is there: files, tests, verbs of the command; and what other pages say holds a claim."""

import re
import subprocess
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


def test_what_shows_a_promise_changes_nothing_that_serves() -> None:
    """A restore without --into makes a copy to look at."""
    acting = re.compile(
        r"luckygas (db|redis) (?!status)|luckygas (release|rollback|restore-table|backup)\b(?!s)|--into production|"
        r"luckygas (firewall|ssh|vpn|maintenance) \w|luckygas rotate (?!--list)|(install|site\.yml)(?! --check)|"
        r"systemctl (start|stop|restart|reload)"
    )
    assert [text for text in column(2) if acting.search(text)] == []


def test_what_shows_the_memory_of_units_is_asked_of_control_groups() -> None:
    """A target has none."""
    assert [text for text in column(2) if re.search(r"systemctl status \S+\.target", text)] == []


def test_a_bench_has_a_machine_of_its_own_sandbox(tmp_path: Path) -> None:
    for name, lines in (("image", ""), ("machine", "echo $@ >>made; false")):
        script = tmp_path / "sandbox" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
    run = tmp_path / "tests/bench/run"
    run.parent.mkdir(parents=True)
    run.write_bytes((ROOT / "tests/bench/run").read_bytes())
    entered = {"PATH": "/usr/bin:/bin", "LUCKYGAS_ENTERED": "1", "LUCKYGAS_SANDBOX": "second"}
    subprocess.run(["bash", run], env=entered, check=False, capture_output=True)  # noqa: S603, S607
    assert (tmp_path / "made").read_text() == "create second-bench\n"


def test_what_the_bench_leaves_out_is_said() -> None:
    """A row or a decision may name a measurement that `make bench` does not make."""
    benches = {path.name for path in (ROOT / "tests/bench").iterdir() if "." not in path.name} - {"run"}
    called = set(re.findall(r"^tests/bench/(\w+)", (ROOT / "tests/bench/run").read_text(), re.MULTILINE))
    head = (ROOT / "docs/guide.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert benches - called == set(re.findall(r"`tests/bench/(\w+)`", head))
