"""The `luckygas` command: the one door for the work of every day."""

import argparse

from appliance.alerts import commands as alerts
from appliance.backup import commands as backup
from appliance.database import commands as database
from appliance.redis import commands as redis
from appliance.release import commands as release
from appliance.status import commands as status


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(prog="luckygas", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="PART")
    database.add(verbs)
    redis.add(verbs)
    backup.add(verbs)
    release.add(verbs)
    alerts.add(verbs)
    status.add(verbs)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)
