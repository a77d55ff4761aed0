"""The `luckygas` command: the one door for the work of every day."""

import argparse
import os
import shlex
import sys

from appliance.alerts import commands as alerts
from appliance.backup import commands as backup
from appliance.block import commands as block
from appliance.database import commands as database
from appliance.doctor import commands as doctor
from appliance.edge import maintenance
from appliance.firewall import commands as firewall
from appliance.output import WARNING
from appliance.redis import commands as redis
from appliance.release import commands as release
from appliance.release.places import TOOLS
from appliance.reports import commands as reports
from appliance.rotate import commands as rotate
from appliance.ssh import commands as ssh
from appliance.status import commands as status
from appliance.trial import commands as trial
from appliance.vpn import commands as vpn

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
    database.add(verbs)
    redis.add(verbs)
    backup.add(verbs)
    release.add(verbs)
    maintenance.add(verbs)
    alerts.add(verbs)
    firewall.add(verbs)
    ssh.add(verbs)
    block.add(verbs)
    vpn.add(verbs)
    rotate.add(verbs)
    trial.add(verbs)
    status.add(verbs)
    doctor.add(verbs)
    reports.add(verbs)
    for verb, text in FORWARDED.items():
        verbs.add_parser(verb, help=text)
    if not words:
        parser.print_help()
        return WARNING
    parsed = parser.parse_args(words)
    return parsed.run(parsed)
