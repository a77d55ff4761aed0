"""`luckygas db ...`: the verbs of the database. Exit codes: 0 good, 1 warning or refused, 2 critical."""

import argparse

from appliance.database import (
    engine,
    guard,
    initial,
    pool,
    processes,
    rejoin,
    restarts,
    status,
    supervisor,
    switchover,
)
from appliance.database.cluster import Cluster
from appliance.database.postgres import QueryError
from appliance.database.processes import UnkillableError
from appliance.database.settings import Settings
from appliance.database.state import NoStateError, State, Store
from appliance.output import OK, WARNING, RefusedError, adding, answer, refused, telling
from appliance.system import BusyError, log, open_log

REFUSALS = (BusyError, RefusedError, NoStateError, QueryError, UnkillableError)


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the command line."""
    database = verbs.add_parser("db", help="the database: who leads, and having another one lead")
    each = database.add_subparsers(required=True, metavar="VERB")

    verb = adding(each, run)
    verb("status", show, "show who leads, who streams, and what is wrong")
    verb("switchover", change, "have another instance lead; no statement fails").add_argument(
        "--to", metavar="INSTANCE"
    )
    verb("rejoin", join, "make fenced instances copies of the primary again").add_argument("instance", nargs="?")
    verb("rolling-restart", roll, "restart every instance; no statement fails").add_argument(
        "--if-pending", action="store_true", help="only those with replaced binaries or old settings"
    )
    verb("restart-pool", restart_pool, "restart the pool; clients connect again").add_argument(
        "--if-pending", action="store_true", help="only when its program was replaced"
    )
    verb("reconcile", reconcile, "finish what was interrupted")
    verb("pools", pools, "write the pool's entries from what is true now")
    failover = verb("failover", fail, "replace a primary that does not answer")
    failover.add_argument(
        "--accept-loss", action="store_true", help="also when acknowledged writes may lie on it alone"
    )
    verb("promote", promote, "repmgrd's promote command: fail over, if need be").add_argument("instance")
    verb("guard", ask_guard, "asked by systemd before each start").add_argument(
        "instance", help="as in postgresql@INSTANCE"
    )
    verb("supervisor", supervise, "watch the primary, for ever (run by systemd)")
    init = verb("init", initialise, "write the first state: the instance that leads, unless one is named")
    init.add_argument("instance", nargs="?")
    init.add_argument("--overwrite", action="store_true", help="replace a state that cannot be read")
    init.add_argument("--accept-loss", action="store_true", help="also when another one may hold newer data")


def run(arguments: argparse.Namespace) -> int:
    """Run a verb; whatever is refused says why."""
    open_log("luckygas-db")
    settings = Settings.load()
    try:
        return arguments.function(arguments, Store(), Cluster(settings))
    except REFUSALS as problem:
        log(f"refused: {problem}")
        return refused(arguments, problem)


def told(arguments: argparse.Namespace, state: State, text: str) -> int:
    """Say who leads after an operation."""
    answer(arguments, {"primary": state.primary, "epoch": state.epoch, "phase": state.phase}, text)
    return OK


def show(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Show the state."""
    nodes = cluster.look()
    ports = {name: instance.port for name, instance in cluster.instances.items()}
    pending = restarts.pending(cluster, nodes)
    found = status.report(store.load(), nodes, ports, pending, pool_pending=pool.restart_pending())
    answer(arguments, found.data, status.human(found))
    return found.severity


def change(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Have another instance lead, and bring the former primary back as a standby."""
    former = store.load().primary
    state = switchover.switchover(store, cluster, arguments.to)
    rejoin.rejoin(store, cluster, former)
    return told(arguments, state, f"{state.primary} leads; {former} streams from it.")


def join(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Rejoin one instance, or all that need it."""
    state = store.load()
    if arguments.instance and arguments.instance not in cluster.instances:
        message = f"there is no instance {arguments.instance}; there are {', '.join(cluster.instances)}"
        raise RefusedError(message)
    names = (
        [arguments.instance] if arguments.instance else [name for name in cluster.instances if name != state.primary]
    )
    done = {name: rejoin.rejoin(store, cluster, name) for name in names}
    answer(arguments, {"rejoined": done}, "\n".join(f"{name}: {how}" for name, how in done.items()))
    return OK


def roll(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Restart all instances."""
    say = telling(arguments)
    state = restarts.restart_all(store, cluster, only_pending=arguments.if_pending, say=say)
    return told(arguments, state, f"Done; {state.primary} leads.")


def restart_pool(arguments: argparse.Namespace, *_: object) -> int:
    """Restart the pool."""
    wanted = not arguments.if_pending or pool.restart_pending()
    if wanted:
        pool.restart()
    answer(arguments, {"restarted": wanted}, "restarted" if wanted else "nothing to take up")
    return OK


def reconcile(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Finish what was interrupted."""
    led_before = store.load().primary
    state = engine.reconcile(store, cluster)
    if cluster.look_at(state.primary).primary:
        supervisor.follow_up(cluster, state, led_before=led_before)
    return told(arguments, state, f"{state.primary} leads.")


def pools(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Write the pool's entries."""
    with store.lock():
        state = store.load()
        changed = pool.point(cluster.settings, state.primary, cluster.readers(state.primary, cluster.look()))
    answer(arguments, {"changed": changed}, "changed" if changed else "unchanged")
    return OK


def fail(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Replace the primary, unless it answers."""
    return replace_primary(arguments, store, cluster, "asked for by the operator", accept_loss=arguments.accept_loss)


def promote(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Let repmgrd begin a failover. Which standby leads is decided by what each holds, so it may be another one."""
    code = replace_primary(
        arguments, store, cluster, f"repmgrd on {arguments.instance} found it lost", accept_loss=False
    )
    return code if store.load().primary == arguments.instance else WARNING


def replace_primary(
    arguments: argparse.Namespace, store: Store, cluster: Cluster, why: str, *, accept_loss: bool
) -> int:
    """Fail over from the present primary."""
    suspect = store.load().primary
    state = engine.fail_over(store, cluster, suspect, why, accept_loss=accept_loss)
    if state.primary == suspect:
        message = (
            f"{suspect} answers and goes on leading"
            if cluster.look_at(suspect).primary
            else (
                f"commits did not wait for a standby, so {suspect} alone has every acknowledged write: "
                f"it was started again."
                " If its data is lost: luckygas db failover --accept-loss"
            )
        )
        raise RefusedError(message)
    supervisor.follow_up(cluster, state, led_before=suspect)
    return told(arguments, state, f"{state.primary} leads.")


def ask_guard(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Refuse or allow a start."""
    why = guard.refusal(cluster.settings, store, arguments.instance)
    if why:
        raise RefusedError(why)
    return OK


def supervise(_: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Watch for ever."""
    supervisor.main(store, cluster)
    return OK


def initialise(arguments: argparse.Namespace, store: Store, cluster: Cluster) -> int:
    """Write the first state: one leads, the others are fenced until they have been copied from it."""
    with store.lock():
        if store.file.exists() and not arguments.overwrite:
            message = f"{store.file} exists; what it says is changed by the other verbs"
            raise RefusedError(message)
        asked, nodes, now = arguments.instance, cluster.look(), cluster.now()
        first = initial.first(cluster.instances, nodes, asked, now=now, accept_loss=arguments.accept_loss)
        store.save(first)
        for name in first.fenced:
            processes.fence(cluster.instances[name])
        state = engine.advance(store, cluster)
    return told(arguments, state, f"{state.primary} leads.")
