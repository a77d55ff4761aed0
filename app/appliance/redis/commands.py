"""`luckygas redis ...`: the verbs of Redis. Exit codes: 0 good, 1 warning or refused, 2 critical."""

import argparse

from appliance.output import OK, RefusedError, adding, answer, refused, telling
from appliance.redis import guard, live, rejoin, restarts, status, switchover, users
from appliance.redis.cluster import Cluster
from appliance.redis.protocol import ReplyError, SilentError
from appliance.redis.settings import LOCK, Settings
from appliance.system import BusyError, locked, log, open_log

REFUSALS = (BusyError, RefusedError, ReplyError, SilentError)


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the command line."""
    part = verbs.add_parser("redis", help="caches and counters: who is master, and having another one be it")
    each = part.add_subparsers(required=True, metavar="VERB")

    verb = adding(each, run)
    verb("status", show, "show who is master, who follows, and what is wrong")
    verb("switchover", change, "have the other instance be the master; no write is lost").add_argument(
        "--to", metavar="INSTANCE"
    )
    verb("rolling-restart", roll, "restart every instance and sentinel; no write is lost").add_argument(
        "--if-pending", action="store_true", help="only those with replaced binaries or old settings"
    )
    mend = verb("rejoin", join, "set data that cannot be read aside, and copy the master's")
    mend.add_argument("instance")
    mend.add_argument("--accept-loss", action="store_true", help="also when there is no master to copy from")
    verb("apply", apply, "bring all to their users and settings, without a restart; former passwords stay valid")
    verb("retire", retire, "end the passwords that were replaced")
    verb("guard", ask_guard, "asked by systemd before each start").add_argument("instance")


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused says why."""
    open_log("luckygas-redis")
    try:
        return arguments.function(arguments)
    except REFUSALS as problem:
        log(f"refused: {problem}")
        return refused(arguments, problem)


def show(arguments: argparse.Namespace) -> int:
    """Show the state."""
    cluster = Cluster(Settings.load())
    found = status.report(
        cluster.settings, cluster.look(), cluster.witnesses(), restarts.pending(cluster), users.replaced()
    )
    answer(arguments, found.data, status.human(found))
    return found.severity


def change(arguments: argparse.Namespace) -> int:
    """Have another instance be the master."""
    with locked(LOCK, 1.0, switchover.BUSY):
        old, new = switchover.switchover(Cluster(Settings.load()), arguments.to)
    answer(arguments, {"master": new}, f"{new} is the master; {old} follows it.")
    return OK


def roll(arguments: argparse.Namespace) -> int:
    """Restart all servers."""
    cluster = Cluster(Settings.load())
    with locked(LOCK, 5.0, switchover.BUSY):
        restarts.restart_all(cluster, only_pending=arguments.if_pending, say=telling(arguments))
    name = cluster.find_master()
    answer(arguments, {"master": name}, f"Done; {name} is the master.")
    return OK


def join(arguments: argparse.Namespace) -> int:
    """Mend one instance."""
    with locked(LOCK, 5.0, switchover.BUSY):
        aside = rejoin.rejoin(Cluster(Settings.load()), arguments.instance, accept_loss=arguments.accept_loss)
    answer(arguments, {"set_aside": aside}, f"{arguments.instance} is back; what it could not read lies in {aside}.")
    return OK


def apply(arguments: argparse.Namespace) -> int:
    """Change what servers read, and what runs."""
    changed = live.apply(Cluster(Settings.load()))
    text = "\n".join(f"{name}: {', '.join(what)}" for name, what in changed.items())
    answer(arguments, {"changed": changed}, text or "unchanged")
    return OK


def retire(arguments: argparse.Namespace) -> int:
    """End former passwords."""
    ended = restarts.retire(Cluster(Settings.load()))
    answer(arguments, {"ended": ended}, f"ended former passwords of: {', '.join(ended) or 'nobody'}")
    return OK


def ask_guard(arguments: argparse.Namespace) -> int:
    """Put an instance into its place before it starts. What is unknown keeps nothing from starting."""
    guard.place(Cluster(Settings.load()), arguments.instance)
    return OK
