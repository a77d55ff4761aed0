"""The `luckygas` command: the one door for the work of every day."""

import argparse
import importlib
import os
import shlex
import sys

from appliance.output import WARNING
from appliance.release.places import TOOLS

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
    return parsed.run(parsed)
