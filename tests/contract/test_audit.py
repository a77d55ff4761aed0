"""The audit of the dependencies can fail, and never takes silence for an answer."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

loader = SourceFileLoader("audit", str(Path(__file__).parents[1] / "audit"))
audit = module_from_spec(spec_from_loader("audit", loader))
loader.exec_module(audit)

GOOD = {"name": "flask", "version": "3.1", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}
BAD = GOOD | {"vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["3.2"], "aliases": [], "description": ""}]}


@pytest.mark.parametrize(
    ("packages", "good", "said"),
    [
        ([GOOD], True, "1 passed"),
        ([GOOD, BAD], False, "flask 3.1: PYSEC-2026-1, mended in 3.2"),
        ([UNKNOWN, BAD], False, "PYSEC-2026-1"),
        ([UNKNOWN], True, "did not run: "),
        ([UNKNOWN, GOOD], True, "did not run for 1 of 2, of which nobody knows: ours"),
    ],
)
def test_a_hole_fails_and_silence_is_said(packages, good, said):
    judged, text = audit.judge({"dependencies": packages})
    assert judged == good
    assert said in text


def test_without_the_program_or_an_answer_it_did_not_run(monkeypatch, capsys):
    monkeypatch.setattr(audit, "COMMAND", ("no-such-program",))
    assert audit.main() == 0
    monkeypatch.setattr(audit, "COMMAND", ("sh", "-c", "echo nobody answers >&2; exit 1"))
    assert audit.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("did not run: ") for line in lines] == [True, True]
    assert "nobody answers" in lines[1]
