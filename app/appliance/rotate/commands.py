"""`luckygas rotate`: other values for secrets. Exit codes: 0 good, 1 refused, 2 broken off, to be gone on with."""

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from appliance.backup import configuration
from appliance.backup.sealed import SealError
from appliance.database.postgres import QueryError
from appliance.database.state import NoStateError
from appliance.output import OK, FailedError, RefusedError, answer, failed, refused
from appliance.redis.protocol import ReplyError, SilentError
from appliance.release.checking import tool
from appliance.release.installed import current
from appliance.rotate import secrets, steps
from appliance.rotate.secrets import PEPPER, SECRETS, VPN_KEY
from appliance.rotate.state import Change, State
from appliance.system import BusyError, end_at_signals, locked, log, open_log

LOCK = Path("/run/luckygas-rotate.lock")
BUSY = "somebody else replaces secrets at the moment; follow that by: journalctl -ft luckygas-rotate"
REFUSALS = (BusyError, NoStateError, RefusedError)
WAY_ON = "Old and new values are good; go on by: luckygas rotate --continue"
FAILURES = (FailedError, QueryError, ReplyError, SilentError)


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "show how old each secret is; NAME ... or --all: give them other values while everything serves"
    parser = verbs.add_parser("rotate", help=text, description=text)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true", help=f"all that can be; {VPN_KEY} with --yes only")
    parser.add_argument("--list", action="store_true", help="only show them, as without any NAME")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="only finish what was interrupted")
    parser.add_argument("--end", action="store_true", help=f"with {PEPPER}: refuse keys that only the former one knows")
    parser.add_argument("--yes", action="store_true", help="although somebody has to act: devices, or holders of keys")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the verb; whatever is refused, or fails, says why."""
    if arguments.list or not (arguments.names or arguments.all or arguments.go_on or arguments.end):
        return show(arguments)
    open_log("luckygas-rotate")
    os.umask(0o077)
    end_at_signals()
    try:
        with locked(LOCK, 1.0, BUSY):
            return end_former(arguments) if arguments.end else rotate(arguments)
    except REFUSALS as problem:
        return refused(arguments, problem)
    except FAILURES as problem:
        return failed(arguments, FailedError(f"{problem}. {WAY_ON}"))
    except BaseException as problem:
        problem.add_note(WAY_ON)
        raise


def show(arguments: argparse.Namespace) -> int:
    """List the secrets, never their values."""
    state = State.load()
    rows = [
        {
            "name": one.name,
            "days": None if one.days is None else round(one.days, 1),
            "used_by": one.used_by,
            "under_way": one.name in state.changes,
            "not_here": one.not_here,
        }
        for one in SECRETS.values()
        if one.days is not None or not one.not_here
    ]
    lines = [f"{'SECRET':<29}{'DAYS':>5}  USED BY"]
    for row in rows:
        age = "-" if row["days"] is None else f"{row['days']:.0f}"
        mark = " (under way)" if row["under_way"] else " (not by this command)" if row["not_here"] else ""
        lines.append(f"{row['name']:<29}{age:>5}  {row['used_by']}{mark}")
    answer(arguments, {"secrets": rows}, "\n".join(lines))
    return OK


def wanted(arguments: argparse.Namespace) -> list[secrets.Secret]:
    """Return what is asked for; refuse what cannot be, or costs somebody something that nobody agreed to."""
    names = dict.fromkeys(arguments.names)
    if arguments.all:
        has_former = "\n" in SECRETS[PEPPER].value
        left_out = {PEPPER} if has_former else set()
        left_out |= set() if arguments.yes else {VPN_KEY}
        names |= dict.fromkeys(one.name for one in SECRETS.values() if not one.not_here and one.name not in left_out)
    elif VPN_KEY in names and not arguments.yes:
        raise RefusedError(
            f"{VPN_KEY}: with another one no device comes in by the VPN until it was given its new configuration "
            "(luckygas vpn show NAME). If that is what you want, say --yes, and do not come in by the VPN yourself"
        )
    return [secrets.named(name) for name in names]


def rotate(arguments: argparse.Namespace) -> int:
    """Finish what was interrupted, then give what is asked for another value."""
    todo = wanted(arguments)
    state = State.load()
    done = list(state.changes)
    if state.changes:
        log(f"going on with {', '.join(done)}")
        steps.work(state, log)
    if changes := steps.plan(one for one in todo if one.name not in done):
        log(f"replacing {', '.join(changes)}")
        state.begin(changes, "both")
        steps.work(state, log)
        done += changes
    return told(arguments, done)


def end_former(arguments: argparse.Namespace) -> int:
    """Let go of the former pepper, with which only keys are known that were not used since."""
    if arguments.names != [PEPPER]:
        raise RefusedError(f"only {PEPPER} has a former value that is still good: luckygas rotate {PEPPER} --end")
    state, secret = State.load(), SECRETS[PEPPER]
    if state.changes:
        raise RefusedError("a change was interrupted; finish it first: luckygas rotate --continue")
    old = secret.value
    if "\n" not in old:
        raise RefusedError(f"{PEPPER} has no former value")
    since = datetime.fromtimestamp(state.pepper_since, UTC).isoformat(timespec="seconds")
    keys = tool(current(), "key", "list", "--unused-since", since)
    if keys and not arguments.yes:
        raise RefusedError(
            f"these keys were not used since {since}, and would be refused:\n{keys}\nHave them used once, or revoke "
            f"them; or say --yes"
        )
    state.begin({PEPPER: Change(old, old.splitlines()[0])}, "end")
    steps.work(state, log)
    return told(arguments, [PEPPER])


def told(arguments: argparse.Namespace, done: list[str]) -> int:
    """Keep the new values where a new machine would find them, and say what was done."""
    complaint = keep() if done else ""
    text = (
        f"Replaced: {', '.join(done)}.\nThe next run of the playbook takes the new values into its .secrets; copy that "
        "to its safe place anew then."
        if done
        else "Nothing was interrupted."
    )
    if PEPPER in done and "\n" in SECRETS[PEPPER].value:
        text += f"\nAPI keys go over to the new pepper when they are used. Later: luckygas rotate {PEPPER} --end"
    if complaint:
        text += f"\nThe configuration was not sealed with them: {complaint}; do that by luckygas backup dump"
    answer(arguments, {"replaced": done}, text)
    return OK


def keep() -> str:
    """Seal the configuration, the new values in it: a pepper that nobody has makes every key useless.

    Returns why that could not be; the values themselves are in force.
    """
    try:
        configuration.take(time.time())
    except (OSError, SealError) as problem:
        return str(problem)
    return ""
