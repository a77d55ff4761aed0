import os
from pathlib import Path

import pytest

from luckygas.web.injection import LONGEST, RULES, sign_in
from texts import attacks, benign

ATTACKS = attacks()


def share(found: int, of: int, what: str) -> float:
    print(f"\n{what}: {found} of {of}, {found / of:.2%}")  # noqa: T201
    return found / of


@pytest.mark.parametrize("kind", ATTACKS)
def test_attacks_are_found(kind: str) -> None:
    missed = [text for text in ATTACKS[kind] if sign_in(text) is None]
    texts = len(ATTACKS[kind])
    assert share(texts - len(missed), texts, f"{kind} found") >= 0.99, missed[:20]


def test_what_people_write_passes() -> None:
    texts = benign()
    stopped = [text for text in texts if sign_in(text) is not None]
    assert share(len(stopped), len(texts), "false alarms") <= 0.001, stopped[:20]


def test_english_prose_passes() -> None:
    """Prose that every Debian has: the texts of licences."""
    lines = {
        line.strip()
        for path in Path("/usr/share/common-licenses").iterdir()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    }
    stopped = [line for line in lines if sign_in(line) is not None]
    assert len(lines) > 2000
    assert share(len(stopped), len(lines), "false alarms in licences") <= 0.001, stopped


@pytest.mark.parametrize(
    "text",
    [
        "O'Brien",
        "1=1 巷",
        "select",
        "select the blue one from the list",
        "call O'Brien first & don't leave outside",
        "<研發部>",
        "「研發部」",
        "A or B = C",
        "union of the selected",
        "Robert'); that is his name",
        "{{",
        "50%",
        "1/2 + 1/2 = 1",
        "陳林--黃",
        "http://example.tw/a?b=c&d=e",
        "a\nb",
        "",
    ],
)
def test_these_are_texts_like_any_other(text: str) -> None:
    assert sign_in(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("' OR '1'='1", "sql"),
        ("1; DROP TABLE orders", "sql"),
        ("1 /*!50000union*/ /*!50000select*/ 1", "sql"),
        ("%2527%2520or%25201%253D1--", "sql"),
        ("＜script＞alert(1)＜/script＞", "script"),
        ("&lt;img src=x onerror=alert(1)&gt;", "script"),
        ("\\u003cscript\\u003e", "script"),
        ("../../../etc/passwd", "path"),
        ("%252e%252e%252fetc%252fpasswd", "path"),
        ("; cat /etc/passwd", "path"),
        ("$(id)", "command"),
        ("{{7*7}}", "template"),
        ("x" * LONGEST + "<script>", "script"),
        ("<script>" + "x" * LONGEST * 2, "script"),
    ],
)
def test_a_sign_has_a_kind(text: str, kind: str) -> None:
    assert sign_in(text).kind == kind


def test_every_rule_has_a_name_of_its_own_and_finds_something() -> None:
    assert len({(rule.kind, rule.name) for rule in RULES}) == len(RULES)
    assert {rule.kind for rule in RULES} == set(ATTACKS)


@pytest.mark.parametrize("piece", ["'", "(", "<", "../", "; ", "{{", "%", "&#", "or ", "select ", " a", "/*", "\\u00"])
def test_no_text_takes_long(piece: str) -> None:
    """Nothing here looks back and forth: twice as long takes about twice as long, and that is far below a second."""
    before = os.times().user
    sign_in(piece * (LONGEST // len(piece)))
    assert os.times().user - before < 1
