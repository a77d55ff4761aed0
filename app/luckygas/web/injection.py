"""Tells whether a text looks like an attempt to inject SQL, a script, a path, a command or a template.

A second line of defence: statements are parameterised, pages escape what they show, and nothing from outside becomes a
path or a command. What is found here tells who is trying, and stops them. The signs stand in `injection.toml`.
"""

import html
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote

LONGEST: Final = 4096
"""Characters of one text that are looked at, half of them at its end; no field of ours takes as many."""

_DECODED_AT_MOST: Final = 3
_SHORT: Final = 256

# Every sign needs one of these. Most texts have none, and cost no more than this.
_SUSPECT: Final = re.compile(
    r"""['"`<>(){}\\;|&$%#*=@\x00\n]|\.\.|--|//?\w|:\w|\b(?:or|and|union|order|group|select|waitfor|exec|xp_)|\.ini\b""",
    re.IGNORECASE,
)
_OTHER_SPELLINGS: Final = {
    "/": r"%c0%af|%c0%2f|%c0%9v|%e0%80%af|%ef%bc%8f|%u2215|%uff0f|%uefc8|%uf025|0x2f",
    "\\": r"%c0%5c|%c1%9c|%c1%1c|%c1%8s|%c1%pc|%u2216|0x5c",
    ".": r"%c0%ae|%c0%2e|%e0%80%ae|%uff0e|0x2e",
    "<": r"%c0%bc|%ef%bc%9c|%uff1c",
    "'": r"%c0%a7|%ef%bc%87|%uff07",
}
_SPELT: Final = [(re.compile(pattern), plain) for plain, pattern in _OTHER_SPELLINGS.items()]
_ESCAPES: Final = re.compile(r"\\+(?:u\{?0{0,4}([0-9a-f]{2})\}?|x([0-9a-f]{2}))|%u00([0-9a-f]{2})")
_SQL_COMMENTS: Final = re.compile(r"/\*!\d*|\*/|/\*[^*]{0,80}\*/")
_BLANKS: Final = re.compile(r"[\s\x0b\xa0]+")
_WIDE: Final = str.maketrans("＜＞＇＂／＼", "<>'\"/\\")


@dataclass(frozen=True, slots=True)
class Rule:
    """One sign: the kind of attack, what it is called in the log, what a text needs to have it, how it looks."""

    kind: str
    name: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def _read() -> Iterator[Rule]:
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    pieces: dict[str, str] = {}

    def put_in(text: str) -> str:
        return re.sub("«(.*?)»", lambda found: pieces[found[1]], text)

    for name, alternatives in tables.pop("pieces").items():
        pieces[name] = f"(?:{put_in('|'.join(alternatives))})"
    for kind, rules in tables.items():
        for rule in rules:
            pattern = re.compile(put_in("|".join(rule["signs"])), re.DOTALL)
            yield Rule(kind, rule["name"], tuple(rule["needs"]), pattern)


RULES: Final = tuple(_read())
SQL: Final = tuple(rule for rule in RULES if rule.kind == "sql")


def sign_in(text: str) -> Rule | None:
    """Return the first sign of an attack in `text`, or None: it is a text like any other."""
    if _SUSPECT.search(text) is None:
        return None
    return _sign_in_short(text) if len(text) <= _SHORT else _sign_in(text)


def _sign_in(text: str) -> Rule | None:
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + text[-LONGEST // 2 :]
    for variant in _variants(text):
        # A line's end means something to a shell; to SQL any blank is as good as another, and so is a comment.
        as_is = _BLANKS.sub(_one_blank, variant)
        if (rule := _first(RULES, as_is)) is not None:
            return rule
        as_sql = _BLANKS.sub(" ", _SQL_COMMENTS.sub(" ", as_is.replace("+", " ")))
        if as_sql != as_is and (rule := _first(SQL, as_sql)) is not None:
            return rule
    return None


# Paths and the names of programs come again and again.
_sign_in_short: Final = lru_cache(maxsize=2048)(_sign_in)


def _first(rules: Sequence[Rule], text: str) -> Rule | None:
    for rule in rules:
        for need in rule.needs:
            if need in text:
                if rule.pattern.search(text) is not None:
                    return rule
                break
    return None


def _one_blank(found: re.Match[str]) -> str:
    return "\n" if "\n" in found[0] or "\r" in found[0] else " "


def _variants(text: str) -> list[str]:
    """Return `text` in small letters, as it is and decoded further than this service decodes."""
    variants = [text.lower().translate(_WIDE)]
    for _ in range(_DECODED_AT_MOST):
        after = variants[-1]
        if "%" in after or "0x" in after:
            for pattern, plain in _SPELT:
                after = pattern.sub(lambda _, plain=plain: plain, after)
            after = unquote(after, errors="replace").lower()
        if "&" in after:
            after = html.unescape(after).lower()
        if "\\" in after or "%u" in after:
            after = _ESCAPES.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), after).lower()
        if after == variants[-1]:
            break
        variants.append(after)
    return variants
