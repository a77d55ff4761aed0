"""How every part of the command answers: in words or in JSON, with an exit code that a monitor understands."""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.system import log

OK, WARNING, CRITICAL = 0, 1, 2


class RefusedError(Exception):
    """The operation would not be safe; the message says why and what to do."""


class FailedError(Exception):
    """What was tried did not come into force; all is as it was before, and the message says so."""


@dataclass(frozen=True)
class Report:
    """What a part shows of itself: to be read by programs, and what is wrong, by how much."""

    data: dict[str, object]
    problems: list[str]
    severity: int


def adding(
    parsers: argparse._SubParsersAction, run: Callable[[argparse.Namespace], int]
) -> Callable[[str, Callable[..., int], str], argparse.ArgumentParser]:
    """Return how to add verbs that answer in words or in JSON; `run` calls the function of each."""

    def verb(name: str, function: Callable[..., int], text: str) -> argparse.ArgumentParser:
        parser = parsers.add_parser(name, help=text, description=text)
        parser.add_argument("--json", action="store_true", help="answer in JSON")
        parser.set_defaults(run=run, function=function)
        return parser

    return verb


def answer(arguments: argparse.Namespace, data: dict[str, object], text: str) -> None:
    """Say the result in the form that was asked for."""
    print(formed(arguments, data, text))


def formed(arguments: argparse.Namespace, data: dict[str, object], text: str) -> str:
    """Return the form that was asked for, by verbs that know more than one."""
    return json.dumps(data) if getattr(arguments, "json", False) else text


def refused(arguments: argparse.Namespace, problem: Exception) -> int:
    """Say why nothing was done, and return the exit code of that."""
    say(formed(arguments, {"refused": str(problem)}, f"Refused: {problem}"))
    return WARNING


def failed(arguments: argparse.Namespace, problem: Exception) -> int:
    """Say what went wrong, and return the exit code of that."""
    say(formed(arguments, {"failed": str(problem)}, f"Failed: {problem}"))
    return CRITICAL


def say(text: str) -> None:
    """Tell how far the work is: nobody's answer, which may hold a secret. A terminal that is gone ends no work."""
    try:
        print(text, flush=True)
    except OSError:
        log(text)


def telling(arguments: argparse.Namespace) -> Callable[[str], None]:
    """Return how to tell how far the work is: to whoever reads words, else to the journal."""
    return log if arguments.json else say


def marked(problems: Iterable[str]) -> list[str]:
    """Return the lines that end a page: what is wrong, if anything is."""
    lines = [f"! {problem}" for problem in problems]
    return ["", *lines] if lines else []


def local(when: float) -> str:
    """Return a moment as the machine's people say it."""
    return datetime.fromtimestamp(when, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def ago(seconds: float) -> str:
    """Return an age in words."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name} ago"
    return f"{max(0, seconds):.0f} s ago"


def counted(number: int, noun: str) -> str:
    """Return how many there are in words: 1 job, 2 jobs."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def yes(value: object) -> str:
    """Return a truth value in one word."""
    return "yes" if value else "no"
