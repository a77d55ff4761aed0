"""`luckygas firewall`: rules come into force on trial. Exit codes: 0 good, 1 refused or on trial, 2 not in force."""

import argparse

from appliance.firewall import rules
from appliance.firewall.rules import Settings
from appliance.output import CRITICAL, OK, WARNING, FailedError, RefusedError, answer, failed, refused
from appliance.system import BusyError, open_log
from appliance.trial import session
from appliance.trial.engine import Trials

NAME = "firewall"


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "show whether the rules are in force; apply: put those of the playbook in force on trial; confirm; revert"
    parser = verbs.add_parser(NAME, help=text, description=text)
    parser.add_argument("act", nargs="?", choices=["status", "apply", "confirm", "revert"], default="status")
    parser.add_argument("--seconds", type=float, default=60, help="how long the trial lasts")
    parser.add_argument(
        "--here", action="store_true", help="confirm in an older session, where the rules let its address in again"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused, or fails, says why."""
    open_log("luckygas-firewall")
    try:
        return {"status": show, "apply": apply, "confirm": confirm, "revert": revert}[arguments.act](arguments)
    except (BusyError, RefusedError) as problem:
        return refused(arguments, problem)
    except FailedError as problem:
        return failed(arguments, problem)


def apply(arguments: argparse.Namespace) -> int:
    """Put the rules that the playbook wrote in force, on trial where they are others than those that were confirmed."""
    trials = Trials()
    Settings.load(rules.WANTED)
    trials.revert(NAME, "it was never confirmed, and the rules are applied anew")
    wanted = rules.WANTED.read_text()
    if rules.CONFIRMED.exists() and rules.CONFIRMED.read_text() == wanted:
        lost = not rules.is_in_force()
        if lost and (problem := rules.load()):
            raise FailedError(problem)
        rules.keep_listing()
        text = "in force again" if lost else "in force already"
        answer(arguments, {"changed": lost, "trial": False}, text)
        return OK
    undo = rules.LOAD if rules.CONFIRMED.exists() else rules.REMOVE
    trials.begin(NAME, {rules.CONFIRMED: wanted}, apply=rules.LOAD, undo=undo, seconds=arguments.seconds)
    answer(
        arguments,
        {"changed": True, "trial": True, "seconds": arguments.seconds},
        f"On trial: the former rules come back in {arguments.seconds:g} s, unless you open a new SSH connection "
        "and type there: luckygas firewall confirm",
    )
    return OK


def confirm(arguments: argparse.Namespace) -> int:
    """Keep the rules that are on trial."""
    if arguments.here and not (settings := Settings.load()).admits(address := session.address()):
        raise RefusedError(
            f"the rules let SSH in from {', '.join(settings.ssh_networks)}; this session came from "
            f"{address or 'somewhere unknown'} and could not come again. Confirm in a new connection, or correct "
            "site_admin_networks"
        )
    Trials().confirm(NAME, here=arguments.here)
    rules.keep_listing()
    answer(arguments, {"confirmed": True}, "Confirmed: these rules stay.")
    return OK


def revert(arguments: argparse.Namespace) -> int:
    """Take back at once what is on trial."""
    reverted = Trials().revert(NAME, "somebody asked for it")
    answer(arguments, {"reverted": reverted}, "The former rules are in force." if reverted else "Nothing was on trial.")
    return OK


def show(arguments: argparse.Namespace) -> int:
    """Show which rules are in force."""
    settings, trial, in_force = Settings.load(), Trials().pending(NAME), rules.is_in_force()
    data = {
        "in_force": in_force,
        "on_trial": trial is not None,
        "seconds_left": round(max(0, trial.left), 1) if trial else None,
        "ssh": settings.ssh,
        "ssh_port": settings.ssh_port,
        "ssh_networks": settings.ssh_networks,
    }
    if trial:
        text = f"on trial, for another {data['seconds_left']} s; luckygas firewall confirm, in a new SSH connection"
    elif in_force:
        text = f"in force; SSH on port {settings.ssh_port}: {settings.ssh}, from {', '.join(settings.ssh_networks)}"
    else:
        text = "NOT in force: the rules in the kernel are not those that were confirmed; luckygas firewall apply"
    answer(arguments, data, text)
    return WARNING if trial else OK if in_force else CRITICAL
