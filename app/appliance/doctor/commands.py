"""`luckygas doctor`: what is wrong, why it matters, what to type.

Exit codes: 0 good, 1 warnings or refused, 2 critical.
"""

import argparse
import difflib
from collections.abc import Iterable, Iterator
from functools import partial

from appliance.doctor import database, edge, files, machine, packages, tables, units, work
from appliance.doctor.examination import Examination, Work, examine
from appliance.doctor.settings import Settings
from appliance.output import OK, WARNING, RefusedError, answer, refused
from appliance.status import commands as status
from appliance.status.check import STATES, Check

EXAMINATIONS = [
    one
    for module in (units, machine, packages, files, edge, database, tables, work)
    for one in vars(module).values()
    if isinstance(one, Examination)
]


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "find what is wrong or soon will be: all that status looks at, and what only shows when it is too late"
    parser = verbs.add_parser("doctor", help=text, description=text)
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="leave out a check; repeatable")
    parser.add_argument("--json", action="store_true", help="answer in JSON, with the checks that are well")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine everything."""
    for words in unknown(arguments.ignore):
        return refused(arguments, RefusedError(f"--ignore {words}"))
    settings = Settings.load()
    ignored = {*settings.ignored, *arguments.ignore}
    checks = look(settings, ignored)
    severity = max((check.severity for check in checks), default=OK)
    data = {"state": STATES[severity], "checks": [check.data for check in checks], "ignored": sorted(ignored)}
    answer(arguments, data, human(checks, ignored))
    return severity


def unknown(names: Iterable[str]) -> Iterator[str]:
    """Say of each name of no check what was meant: it would be shown, and nobody would see why."""
    known = [*status.PARTS, *status.IDS, *(one.id for one in EXAMINATIONS)]
    for name in names:
        if name not in known and not name.startswith("service."):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "for their names: luckygas doctor --json"
            yield f"{name}: there is no such check; {hint}"


def look(settings: Settings, ignored: Iterable[str] = ()) -> list[Check]:
    """Return every check that is not ignored: first those of `luckygas status`, then those of the doctor alone."""
    works: dict[str, Work] = {name: partial(status.look_at, name) for name in status.PARTS}
    works |= {one.id: partial(one.run, settings) for one in EXAMINATIONS if one.id not in ignored}
    why, what = "what was to be left out is told", "correct it in your inventory, and run the playbook"
    wrong = [
        Check("doctor.ignored", WARNING, f"appliance_ignored_checks has {words}", why, what)
        for words in unknown(settings.ignored)
    ]
    return [*(check for check in examine(works) if check.id not in ignored), *wrong]


def human(checks: list[Check], ignored: Iterable[str]) -> str:
    """Return the page for the terminal: what is wrong, and nothing else."""
    wrong = sorted((check for check in checks if check.severity), key=lambda check: -check.severity)
    lines = [line for check in wrong for line in status.lines(check)]
    if lines:
        lines.append("")
    passed = f"{len(checks) - len(wrong)} of {len(checks)} checks are well"
    left_out = f"; ignored: {', '.join(sorted(ignored))}" if ignored else ""
    return "\n".join([*lines, passed + left_out])
