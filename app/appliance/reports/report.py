"""A report: sections of lines, some of which are news when they come or go. What was told is remembered."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from appliance.system import write_file

LOGS = Path("/var/log/luckygas")
STATE = Path("/var/lib/luckygas/reports")
KEPT = 60


@dataclass(frozen=True)
class Line:
    """A line. Its `mark` is the same for the same thing, whatever figures the text has; without one it is no news."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Section:
    """Lines on one subject."""

    title: str
    lines: list[Line]

    @classmethod
    def made(cls, title: str, make: Callable[[], Iterable[Line]]) -> Self:
        """Make a section; one that cannot be made says so, and hides no other."""
        try:
            return cls(title, list(make()))
        except Exception as problem:  # noqa: BLE001 - whatever it is, it must not hide the rest
            return cls(title, [Line(f"could not be made: {problem}", f"{title} could not be made")])


@dataclass(frozen=True)
class Report:
    """What was found, beside what was marked the last time that somebody was told."""

    period: str
    sections: list[Section]
    before: list[str] = field(default_factory=list)

    @property
    def marks(self) -> list[str]:
        """Return what is marked now."""
        return sorted({line.mark for section in self.sections for line in section.lines if line.mark})

    @property
    def news(self) -> list[str]:
        """Return what came and what went."""
        came = [f"+ {mark}" for mark in self.marks if mark not in self.before]
        return came + [f"- {mark}" for mark in self.before if mark not in self.marks]

    @property
    def text(self) -> str:
        """Return it as a page."""
        pages = [f"What is new since the last one (+), and what is over (-):\n{listed(self.news or ['nothing'])}"]
        pages += [
            f"{section.title}\n{listed([line.text for line in section.lines] or ['nothing'])}"
            for section in self.sections
        ]
        return "\n\n".join(pages) + "\n"


def listed(lines: Iterable[str]) -> str:
    """Return lines, each with a margin."""
    return "\n".join(f"  {line}" for line in lines)


def remembered(period: str) -> list[str]:
    """Return what was marked the last time that somebody was told."""
    file = STATE / f"{period}.json"
    return json.loads(file.read_text()) if file.exists() else []


def remember(report: Report) -> None:
    """Keep what is marked now."""
    write_file(STATE / f"{report.period}.json", json.dumps(report.marks, indent=2) + "\n", mode=0o600)


def keep(report: Report, day: str) -> Path:
    """Write the page where it can be read later; the oldest ones go."""
    file = LOGS / f"{report.period}-{day}.txt"
    write_file(file, report.text, mode=0o640, group="adm")
    for old in sorted(LOGS.glob(f"{report.period}-*.txt"))[:-KEPT]:
        old.unlink()
    return file
