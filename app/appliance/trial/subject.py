"""What may be on trial, and its verb. Exit codes: 0 good, 1 refused, on trial or to be seen to, 2 not in force."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from appliance.output import CRITICAL, OK, WARNING, FailedError, RefusedError, answer, failed, refused
from appliance.system import BusyError, open_log
from appliance.trial.engine import Trials, complain, not_back


class Subject:
    """Settings of which a wrong one locks the operator out: what the playbook wants, and what was confirmed."""

    name: str
    text: str
    """What the verb is for."""
    wanted: Path
    """The file that the playbook wrote."""
    confirmed: Path
    """The file that is read at boot."""
    load: Sequence[str]
    """What puts the confirmed file in force."""
    remove: Sequence[str]
    """What puts it in force that there is none."""
    mode = 0o644

    def check(self) -> None:
        """Refuse what is wanted when it cannot be right."""

    def is_confirmed(self, wanted: str) -> bool:
        """Tell whether the confirmed file says just that."""
        return self.confirmed.exists() and self.confirmed.read_text() == wanted

    def is_in_force(self) -> bool:
        """Tell whether the machine works by the confirmed file."""
        raise NotImplementedError

    def keep(self) -> None:
        """Remember what `is_in_force` compares with, now that it is confirmed."""

    def admits_this_session(self) -> None:
        """Refuse to confirm in a session that could not be opened anew."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, object]:
        """Return what is in force, for programs."""
        raise NotImplementedError

    def words(self) -> str:
        """Return what is in force, for people."""
        raise NotImplementedError

    def warning(self) -> str:
        """Return what the operator should know although all is in force, or nothing."""
        return ""


def add(verbs: argparse._SubParsersAction, subject: Subject) -> None:
    """Add the verb of a subject to the command line."""
    parser = verbs.add_parser(subject.name, help=subject.text, description=subject.text)
    parser.add_argument("act", nargs="?", choices=list(ACTS), default="status")
    parser.add_argument("--seconds", type=float, default=60, help="how long the trial lasts")
    parser.add_argument(
        "--here", action="store_true", help="confirm in an older session, where another one of its kind could be opened"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=lambda arguments: run(arguments, subject))


def run(arguments: argparse.Namespace, subject: Subject, trials: Trials | None = None) -> int:
    """Run a verb; whatever is refused, or fails, says why."""
    open_log(f"luckygas-{subject.name}")
    try:
        return ACTS[arguments.act](arguments, subject, trials or Trials())
    except (BusyError, RefusedError) as problem:
        return refused(arguments, problem)
    except FailedError as problem:
        return failed(arguments, problem)


def apply(arguments: argparse.Namespace, subject: Subject, trials: Trials) -> int:
    """Put in force what the playbook wrote, on trial where it is something else than what was confirmed."""
    subject.check()
    wanted = subject.wanted.read_text()
    try:
        trials.revert(subject.name, "it was never confirmed, and is applied anew")
    except FailedError:
        if subject.is_confirmed(wanted):
            raise
        # What is wanted takes the place of what cannot be put in force any more.
    if subject.is_confirmed(wanted):
        lost = not subject.is_in_force()
        if lost and (problem := complain(subject.load)):
            raise FailedError(problem)
        subject.keep()
        text = "in force again" if lost else "in force already"
        answer(arguments, {"changed": lost, "trial": False}, text)
        return OK
    undo = subject.load if subject.confirmed.exists() else subject.remove
    files = {subject.confirmed: wanted}
    trials.begin(
        subject.name, files, apply=subject.load, undo=undo, seconds=arguments.seconds, mode=subject.mode
    )  # fmt: skip
    answer(
        arguments,
        {"changed": True, "trial": True, "seconds": arguments.seconds},
        f"On trial: what was there before comes back in {arguments.seconds:g} s, unless you open a new SSH connection "
        f"and type there: luckygas {subject.name} confirm",
    )
    return OK


def confirm(arguments: argparse.Namespace, subject: Subject, trials: Trials) -> int:
    """Keep what is on trial."""
    if arguments.here:
        subject.admits_this_session()
    trials.confirm(subject.name, here=arguments.here)
    subject.keep()
    answer(arguments, {"confirmed": True}, "Confirmed: it stays.")
    return OK


def revert(arguments: argparse.Namespace, subject: Subject, trials: Trials) -> int:
    """Take back at once what is on trial."""
    reverted = trials.revert(subject.name, "somebody asked for it")
    text = "What was there before is in force." if reverted else "Nothing was on trial."
    answer(arguments, {"reverted": reverted}, text)
    return OK


def show(arguments: argparse.Namespace, subject: Subject, trials: Trials) -> int:
    """Show what is in force."""
    trial, warning = trials.pending(subject.name), subject.warning()
    # What could not be put in force is not, whatever its file says.
    in_force = not (trial and trial.problem) and subject.is_in_force()
    data = {
        "in_force": in_force,
        "on_trial": trial is not None,
        "seconds_left": round(max(0, trial.left), 1) if trial else None,
        "warning": warning,
        **subject.facts(),
    }
    if trial and trial.problem:
        text = f"NOT in force: {not_back(trial)}"
    elif trial:
        left = f"on trial, for another {data['seconds_left']} s"
        text = f"{left}; luckygas {subject.name} confirm, in a new SSH connection"
    elif in_force:
        text = "\n".join(filter(None, [f"in force; {subject.words()}", warning]))
    else:
        text = f"NOT in force: the machine does not work by what was confirmed; luckygas {subject.name} apply"
    answer(arguments, data, text)
    if trial:
        return CRITICAL if trial.problem else WARNING
    return WARNING if in_force and warning else OK if in_force else CRITICAL


ACTS = {"status": show, "apply": apply, "confirm": confirm, "revert": revert}
