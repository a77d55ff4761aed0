"""The `luckygas` command: the one door for the work of every day."""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Iterator

from appliance.output import WARNING, FailedError, failed
from appliance.release.places import TOOLS
from appliance.system import log_traceback, open_log

# Which module adds which verb. Only that of the verb that was typed is loaded: timers and units ask all day.
VERBS = {
    "db": "database.commands",
    "redis": "redis.commands",
    "backup": "backup.commands",
    "backups": "backup.commands",
    "restore": "backup.commands",
    "restore-table": "backup.commands",
    "restore-discard": "backup.commands",
    "release": "release.commands",
    "rollback": "release.commands",
    "releases": "release.commands",
    "maintenance": "edge.maintenance",
    "alerts": "alerts.commands",
    "firewall": "firewall.commands",
    "ssh": "ssh.commands",
    "drop": "block.commands",
    "vpn": "vpn.commands",
    "rotate": "rotate.commands",
    "trial": "trial.commands",
    "status": "status.commands",
    "doctor": "doctor.commands",
    "report": "reports.commands",
}
LOG = "luckygas"
# What the service itself answers, in the words of its own tools.
FORWARDED = {
    "key": "give out, list, replace and take back API keys, see their use",
    "person": "make people who log in, and let them in again",
    "block": "see whom the service keeps out and why, let them in again, or keep somebody out",
    "job": "look at jobs that failed for good, and replay them",
    "audit": "see that nobody rewrote the log of who did what",
}


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(prog="luckygas", description=__doc__)
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        if os.geteuid() and not {"-h", "--help"} & set(words):
            sys.exit(f"This needs root: sudo luckygas {shlex.join(words)}")
        os.umask(0o022)  # whatever root's own is here: others go through the directories above a file
    if words and words[0] in FORWARDED:
        os.execv(TOOLS, [TOOLS, *words])  # noqa: S606 - it becomes that program; words from whoever may be root
    verbs = parser.add_subparsers(required=True, metavar="PART")
    asked = [VERBS[words[0]]] if words and words[0] in VERBS else dict.fromkeys(VERBS.values())
    for module in asked:
        importlib.import_module(f"appliance.{module}").add(verbs)
    for verb, text in FORWARDED.items():
        verbs.add_parser(verb, help=text)
    if not words:
        parser.print_help()
        return WARNING
    parsed = parser.parse_args(words)
    try:
        return parsed.run(parsed)
    except FailedError as problem:
        return failed(parsed, problem)
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - what nobody foresaw is no refusal
        return unforeseen(parsed, words[0], problem)


def unforeseen(arguments: argparse.Namespace, verb: str, problem: BaseException) -> int:
    """Say in a sentence what a verb met and has no words for. It failed: what is refused changed nothing."""
    open_log(LOG)
    log_traceback(problem)
    met = ", after ".join(met_by(problem))
    notes = "".join(f"{note}. " for note in getattr(problem, "__notes__", ()))
    return failed(
        arguments,
        FailedError(
            f"luckygas {verb} did not come to its end: {met}. {notes or 'What it had begun may be half done. '}"
            f"The whole of it: journalctl -t {LOG}"
        ),
    )


def met_by(problem: BaseException | None) -> Iterator[str]:
    """Yield the words of a problem, and of those in whose handling it came up: on a full disk they are the news."""
    while problem:
        words = " ".join(str(problem).split())
        if isinstance(problem, EOFError):
            yield "it asks something, and nobody can answer here; --help tells how to answer in advance"
        elif isinstance(problem, KeyboardInterrupt):
            yield f"broken off by {words or 'Ctrl-C'}"
        else:
            yield f"{type(problem).__name__}: {words}"
        problem = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
