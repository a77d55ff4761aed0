"""`luckygas maintenance`: nginx looks for a file at every request, so turning it on and off touches nothing that runs.

Exit codes: 0 done, or off; 1 on.
"""

import argparse
from pathlib import Path

from appliance.output import OK, WARNING, answer, local
from appliance.system import log, open_log, write_file

FILE = Path("/var/lib/luckygas/maintenance")
TEXT = "Requests get a 503 and a page that says so; the service, its jobs and its health go on."


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "answer requests with a page that says that there is maintenance, or no longer; without a word: tell which"
    parser = verbs.add_parser("maintenance", help=text, description=text)
    parser.add_argument("state", nargs="?", choices=["on", "off"])
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Turn it on or off, or tell."""
    open_log("luckygas-maintenance")
    began = since()
    if arguments.state and (arguments.state == "on") != (began is not None):
        if arguments.state == "on":
            write_file(FILE, "", mode=0o644)
        else:
            FILE.unlink(missing_ok=True)
        log(f"maintenance {arguments.state}")
        began = since()
    text = "Maintenance is off." if began is None else f"Maintenance is on since {local(began)}. {TEXT}"
    answer(arguments, {"on": began is not None, "since": began}, text)
    return OK if arguments.state or began is None else WARNING


def since() -> float | None:
    """Return when it was turned on, in seconds since the epoch; nothing while it is off."""
    try:
        return FILE.stat().st_mtime
    except FileNotFoundError:
        return None
