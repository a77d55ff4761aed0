"""How every part of the command answers: in words or in JSON, with an exit code that a monitor understands."""

import argparse
import json

OK, WARNING, CRITICAL = 0, 1, 2


class RefusedError(Exception):
    """The operation would not be safe; the message says why and what to do."""


class FailedError(Exception):
    """What was tried did not come into force; all is as it was before, and the message says so."""


def answer(arguments: argparse.Namespace, data: dict[str, object], text: str) -> None:
    """Say the result in the form that was asked for."""
    print(json.dumps(data) if arguments.json else text)


def refused(arguments: argparse.Namespace, problem: Exception) -> int:
    """Say why nothing was done, and return the exit code of that."""
    answer(arguments, {"refused": str(problem)}, f"Refused: {problem}")
    return WARNING


def failed(arguments: argparse.Namespace, problem: Exception) -> int:
    """Say what went wrong, and return the exit code of that."""
    answer(arguments, {"failed": str(problem)}, f"Failed: {problem}")
    return CRITICAL


def yes(value: object) -> str:
    """Return a truth value in one word."""
    return "yes" if value else "no"
