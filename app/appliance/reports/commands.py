"""`luckygas report`: one page on what is due at this time. Exit codes: 0 good, 1 somebody could not be told."""

import argparse
import time
from datetime import UTC, datetime

from appliance.output import OK, WARNING, RefusedError, answer
from appliance.reports import calendar, mail
from appliance.reports.report import Report, Section, keep, remember, remembered


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "write what is to be looked at each day, week, month or quarter, and mail it when something changed"
    parser = verbs.add_parser("report", help=text, description=text)
    parser.add_argument("period", choices=list(calendar.PERIODS))
    parser.add_argument("--show", action="store_true", help="only show it: keep nothing, mail nothing")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make a report, keep it, and tell whoever is told by mail when something changed."""
    began = time.monotonic()
    sections = [Section.made(title, make) for title, make in calendar.PERIODS[arguments.period].items()]
    report = Report(arguments.period, sections, remembered(arguments.period))
    data = {"period": report.period, "news": report.news, "seconds": round(time.monotonic() - began, 1)}
    if arguments.show:
        answer(arguments, data | {"text": report.text}, report.text)
        return OK
    file = keep(report, datetime.now(UTC).astimezone().strftime("%Y-%m-%d"))
    to = mail.receiver() if report.news else {}
    try:
        if to:
            mail.send(to, mail.subject(report.period), report.text)
    except RefusedError as problem:
        # What is new stays new, so the next report tries again.
        answer(arguments, data | {"file": str(file), "refused": str(problem)}, f"{file}; {problem}")
        return WARNING
    remember(report)
    told = "mailed" if to else "nobody is told by mail" if report.news else "nothing new"
    answer(arguments, data | {"file": str(file), "mailed": bool(to)}, f"{file}: {told}")
    return OK
