"""`luckygas trial`: what takes back a change that nobody confirmed. Exit codes: 0 good, 1 refused, 2 not in force."""

import argparse

from appliance.output import OK, RefusedError, answer, refused
from appliance.system import BusyError, open_log
from appliance.trial.engine import Trials


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "revert NAME: take back now what is on trial; recover: take back all, before it is read (at boot)"
    parser = verbs.add_parser("trial", help=text, description=text)
    parser.add_argument("act", choices=["revert", "recover"])
    parser.add_argument("name", nargs="?", metavar="NAME", help="firewall or ssh")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run a verb."""
    open_log("luckygas-trial")
    try:
        names = Trials().recover() if arguments.act == "recover" else revert(arguments.name)
    except (BusyError, RefusedError) as problem:
        return refused(arguments, problem)
    answer(arguments, {"reverted": names}, f"taken back: {', '.join(names) or 'nothing was on trial'}")
    return OK


def revert(name: str | None) -> list[str]:
    """Take back one trial, and return its name if there was one."""
    if name is None:
        raise RefusedError("what? luckygas trial revert firewall, or ssh")
    return [name] if Trials().revert(name, "it was not confirmed in time") else []
