"""`luckygas release`, `rollback`, `releases`. Exit codes: 0 good, 1 warning or refused, 2 switched back."""

import argparse

from appliance.backup.taking import RoomError
from appliance.database.state import NoStateError
from appliance.output import OK, FailedError, RefusedError, adding, answer, failed, refused, telling
from appliance.release import installed, listing, rolling, source
from appliance.release.places import LOCK, Settings
from appliance.release.state import State
from appliance.system import BusyError, end_at_signals, locked, open_log

REFUSALS = (BusyError, NoStateError, RefusedError, RoomError)
BUSY = "another release is under way; follow it by: journalctl -ft luckygas-release"


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the command line."""
    verb = adding(verbs, run)
    text = "bring a release of the service into force while it serves; without one: the current one with its settings"
    parser = verb("release", release, text)
    what = "a wheel, the directory of its source, or a tag, branch or commit of the repository"
    parser.add_argument("wheel", nargs="?", metavar="WHEEL|DIR|GIT-REF", help=what)
    parser.add_argument("--repository", default=".", help="path or URL of a git repository, instead of the one here")
    parser.add_argument("--without-backup", action="store_true", help="even when there is no backup of the last day")
    parser.add_argument("--playbook", action="store_true", help="(for Ansible: only what it did not bring before)")
    parser.add_argument("--again", action="store_true", help="(for Ansible: even if it brought that before)")
    parser = verb("rollback", rollback, "go back to the release that was in force before; the schema stays")
    parser.add_argument("--to", metavar="RELEASE", help="to this one, which is still installed")
    parser.set_defaults(without_backup=True)
    verb("releases", show, "list the releases that are installed, and which of them serves")


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused, or fails, says why."""
    open_log("luckygas-release")
    end_at_signals()
    try:
        return arguments.function(arguments)
    except REFUSALS as problem:
        return refused(arguments, problem)
    except FailedError as problem:
        return failed(arguments, problem)


def release(arguments: argparse.Namespace) -> int:
    """Install what was given, and bring it into force."""
    with locked(LOCK, 1.0, BUSY):
        if arguments.wheel is None:
            return change(arguments, installed.current() or refuse_nothing())
        with source.wheel_of(arguments.wheel, arguments.repository) as wheel:
            wanted = installed.name_of(wheel)
            current = installed.current()
            if arguments.playbook and not arguments.again and current and State.load().playbook == wanted:
                return change(arguments, current)
            if is_new := not installed.is_installed(wanted):
                telling(arguments)(f"{wanted}: building")
                installed.install(wheel, wanted)
        status = change(arguments, wanted, ["installed"] if is_new else [])
        state = State.load()
        if arguments.playbook:
            state.playbook = wanted
            state.save()
        installed.prune([*state.before("")[:2], state.playbook])
        return status


def rollback(arguments: argparse.Namespace) -> int:
    """Bring an older release back."""
    with locked(LOCK, 1.0, BUSY):
        wanted = arguments.to or listing.previous(State.load(), installed.current())
        if not wanted:
            raise RefusedError("there is no release before this one; see luckygas releases")
        if not installed.is_installed(wanted):
            raise RefusedError(f"{wanted} is not installed; there are: {', '.join(installed.names())}")
        return change(arguments, wanted)


def change(arguments: argparse.Namespace, wanted: str, done: list[str] | None = None) -> int:
    """Bring an installed release into force, and say what that took."""
    changed = rolling.put_in_force(
        wanted, Settings.load(), with_backup=not arguments.without_backup, say=telling(arguments)
    )
    changed = [*(done or []), *changed]
    text = f"{wanted} is in force." if changed else f"{wanted} is in force already."
    answer(arguments, {"release": wanted, "changed": changed}, text)
    return OK


def show(arguments: argparse.Namespace) -> int:
    """Show what there is."""
    found = listing.report(Settings.load())
    answer(arguments, found.data, listing.human(found))
    return found.severity


def refuse_nothing() -> str:
    """Say that there is nothing yet."""
    raise RefusedError("no release is installed yet: give a wheel, or the source of one")
