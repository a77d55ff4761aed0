"""`luckygas alerts`: what fires, and the proof that alerts arrive. Exit codes: 0 good, 1 warning, 2 critical."""

import argparse
import hmac
import re
import time
from dataclasses import replace
from pathlib import Path

from appliance.alerts import manager
from appliance.alerts.manager import Settings, SilentError
from appliance.alerts.record import Record, new_code
from appliance.output import CRITICAL, OK, WARNING, RefusedError, answer, refused
from appliance.system import PAGES

PAGE = PAGES / "operations.md"
# Those of alerts are one word, and their text follows at once.
HEADING = re.compile(r"^## ([A-Z]\w+)\n(?=\S)((?:(?!## ).*\n)+)", re.MULTILINE)


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the command line."""
    text = (
        "list what fires; explain NAME: what an alert means, and what to type; test: send an alert with a code to"
        " whoever is told; confirm CODE: say that it arrived"
    )
    parser = verbs.add_parser("alerts", help=text, description=text)
    parser.add_argument("act", nargs="?", choices=["explain", "test", "confirm"])
    parser.add_argument("code", nargs="?", metavar="NAME|CODE", help="of the alert, or what the test alert said")
    parser.add_argument("--if-changed", action="store_true", help="test only receivers that have not had one")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused says why."""
    try:
        if arguments.act == "explain":
            return explain(arguments)
        return {None: show, "test": test, "confirm": confirm}[arguments.act](arguments, Settings.load())
    except RefusedError as problem:
        return refused(arguments, problem)
    except SilentError as problem:
        answer(arguments, {"refused": str(problem)}, str(problem))
        return CRITICAL


def show(arguments: argparse.Namespace, settings: Settings) -> int:
    """List what fires."""
    rows = manager.firing(settings)
    lines = [
        f"{row['severity']:<9}{row['name']:<24}{row['since'][:19].replace('T', ' ')} UTC  {row['summary']}"
        + ("  (silenced)" if row["state"] == "suppressed" else "")
        for row in rows
    ]
    lines += ["what one means, and what to type: luckygas alerts explain NAME"] if rows else []
    problem = doubt(settings, Record.load())
    lines += [f"! {problem}"] if problem else []
    answer(arguments, {"alerts": rows, "problem": problem}, "\n".join(lines) or "nothing fires")
    return max(manager.gravity(rows), WARNING if problem else OK)


def explain(arguments: argparse.Namespace, page: Path = PAGE) -> int:
    """Show what the page for operators says of an alert."""
    sections = dict(HEADING.findall(page.read_text()))
    text = sections.get(arguments.code or "")
    if text is None:
        raise RefusedError(f"there is no alert {arguments.code or 'without a name'}; there are: {', '.join(sections)}")
    answer(arguments, {"alert": arguments.code, "text": text}, text)
    return OK


def doubt(settings: Settings, record: Record) -> str | None:
    """Return why nobody might learn of an alert."""
    if not settings.receivers:
        return "nobody is told of alerts; fill in site_alert_mail, _webhook or _slack in site.yml and run the playbook"
    if not record.is_confirmed(settings.digest):
        return (
            f"nobody has confirmed that alerts arrive by {', '.join(settings.receivers)}; "
            "a test with a code was sent: luckygas alerts confirm CODE (or send another one: luckygas alerts test)"
        )
    return None


def test(arguments: argparse.Namespace, settings: Settings) -> int:
    """Send a test alert."""
    record = Record.load()
    if not settings.receivers and not arguments.if_changed:
        raise RefusedError(str(doubt(settings, record)))
    if arguments.if_changed and (not settings.receivers or record.digest == settings.digest):
        answer(arguments, {"tested": False}, "unchanged")
        return OK
    code = new_code()
    manager.send_test(settings, code)
    Record(digest=settings.digest, code=code, sent_at=time.time()).save()
    answer(
        arguments,
        {"tested": True},
        f"sent by {', '.join(settings.receivers)}; when it arrived, type what it says: luckygas alerts confirm CODE",
    )
    return OK


def confirm(arguments: argparse.Namespace, settings: Settings) -> int:
    """Note that the test alert arrived."""
    record = Record.load()
    if record.digest != settings.digest or not record.code:
        raise RefusedError("no test was sent to those who are told now; send one: luckygas alerts test")
    if not arguments.code or not hmac.compare_digest(arguments.code.encode(), record.code.encode()):
        raise RefusedError(f"{arguments.code or 'nothing'} is not the code of the last test; it stands in the alert")
    replace(record, confirmed_at=time.time()).save()
    answer(arguments, {"confirmed": True}, "Alerts arrive.")
    return OK
