"""A planned change of the primary, behind a pause of the pool: no statement fails.

Until the old primary has stopped and the new one holds all it wrote, everything can be called off. From there on it is
the second half of a failover, and finished by the same code, whoever dies on the way.
"""

import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from appliance.database import engine, machine, pool, postgres, processes, registry
from appliance.database.cluster import Cluster
from appliance.database.machine import Attach, Nodes
from appliance.database.settings import BIN, Instance
from appliance.database.state import STABLE, SWITCHOVER, State, Store
from appliance.output import RefusedError
from appliance.system import log, run

MAX_LAG_BYTES = 16 << 20
MAX_TRANSACTION_SECONDS = 2.0
PAUSE_PATIENCE_SECONDS = 2.0
# A server that stops begins a new segment of WAL: it creates one, and sends the standbys what is left of the old one.
# Behind three quarters of a segment a checkpoint creates the next, and little is left to send: 0.15 s less to wait for.
FILL_SEGMENT = (
    "SELECT pg_logical_emit_message(false, 'luckygas', repeat(' ', (0.9 * size - used)::int))"
    " FROM (SELECT size, mod(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'), size) AS used"
    " FROM (SELECT setting::bigint AS size FROM pg_settings WHERE name = 'wal_segment_size')) WHERE used < 0.9 * size"
)


def pick(state: State, nodes: Nodes, to: str | None) -> str:
    """Return the standby that is to lead; refuse, with the reason, when that would not be safe."""
    if state.phase != STABLE:
        message = f"a {state.phase} is under way; it goes on by itself, or by: luckygas db reconcile"
        raise RefusedError(message)
    if not state.quorum:
        message = (
            "commits do not wait for a standby at the moment, so a mishap on the way could lose some; "
            "wait until `luckygas db status` says on"
        )
        raise RefusedError(message)
    if to == state.primary:
        message = f"{to} leads already"
        raise RefusedError(message)
    if to and to not in nodes:
        message = f"there is no instance {to}; there are {', '.join(nodes)}"
        raise RefusedError(message)
    leader = nodes[state.primary]
    if not leader.primary:
        message = (
            f"{state.primary} does not answer as primary, so nothing can be planned; "
            f"a failover begins by itself within seconds"
        )
        raise RefusedError(message)
    ready = {
        name: node
        for name, node in nodes.items()
        if node.answers and node.streams and node.upstream == state.primary and name not in state.fenced
    }
    if not ready or (to and to not in ready):
        found = f"{to} does not stream" if to else "no standby streams"
        message = f"{found} from {state.primary}; see `luckygas db status`, and: luckygas db rejoin {to or 'INSTANCE'}"
        raise RefusedError(message)
    name = to or max(ready, key=lambda one: (ready[one].position, one))
    lag = leader.position - ready[name].position
    if lag > MAX_LAG_BYTES:
        message = (
            f"{name} is {lag >> 20} MB behind, more than {MAX_LAG_BYTES >> 20} MB; "
            f"wait until `luckygas db status` shows less"
        )
        raise RefusedError(message)
    return name


def refuse_long_transactions(instance: Instance) -> None:
    """Refuse while a transaction runs for whose end every client would have to wait."""
    rows = postgres.query(
        instance,
        "SELECT pid, usename, round(extract(epoch FROM clock_timestamp() - xact_start)::numeric, 1)"
        " FROM pg_stat_activity"
        f" WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        f" AND clock_timestamp() - xact_start > '{MAX_TRANSACTION_SECONDS} s'"
        f" ORDER BY 3 DESC",
    )
    if rows:
        pid, user, age = rows[0]
        message = (
            f"a transaction of {user} (process {pid}) runs since {age} s and clients would wait for it; let it end, or:"
            f" SELECT pg_terminate_backend({pid}) on {instance.name}"
        )
        raise RefusedError(message)


def switchover(store: Store, cluster: Cluster, to: str | None = None) -> State:
    """Have another instance lead; returns the new state. The former primary is left fenced, for a rejoin."""
    state = store.load()
    to = pick(state, cluster.look(), to)
    # What was dirty now need not be written while the clients wait.
    with ThreadPoolExecutor(2) as at_once:
        list(
            at_once.map(
                lambda name: postgres.query(cluster.instances[name], "CHECKPOINT", timeout=300), (state.primary, to)
            )
        )
    with store.lock(patience=1.0):
        state = store.load()
        nodes = cluster.look()
        to = pick(state, nodes, to)
        old = state.primary
        refuse_long_transactions(cluster.instances[old])
        store.save(replace(state, phase=SWITCHOVER, candidate=to, since=cluster.now(), reason="switchover"))
        try:
            hand_over(cluster, nodes, old, to)
        except BaseException:
            engine.advance(store, cluster)  # calls it off: the old one goes on, or is found to have failed
            raise
        store.save(machine.depose(store.load(), f"handed over to {to}", cluster.now(), preferred=to))
        state = engine.advance(store, cluster, held=True)
    registry.record(cluster.settings, state)
    return state


def hand_over(cluster: Cluster, nodes: Nodes, old: str, to: str) -> None:
    """Bring about that the old primary has stopped and the new one holds all it wrote."""
    others = [name for name, node in nodes.items() if name not in (old, to) and node.answers and not node.primary]
    for name in others:
        cluster.perform(Attach(name, to))
    deadline = time.monotonic() + 5
    while others and time.monotonic() < deadline:
        others = [name for name in others if not cluster.look_at(name).streams]
    ease_stop(cluster, old, to)
    began = time.monotonic()
    if not pool.pause(cluster.settings, PAUSE_PATIENCE_SECONDS):
        message = (
            f"clients kept transactions open for {PAUSE_PATIENCE_SECONDS:g} s; nothing was changed, "
            f"try again at a calmer time"
        )
        raise RefusedError(message)
    log(f"clients wait (after {time.monotonic() - began:.3f} s)")
    instance = cluster.instances[old]
    needed = stop(instance, lambda: end_of_wal(instance)) or end_of_wal(instance)
    if needed is None:
        message = f"{old} did not stop cleanly; it is started again"
        raise RefusedError(message)
    deadline = time.monotonic() + 3
    while (has := cluster.look_at(to).position) <= needed:
        if time.monotonic() > deadline:
            message = f"{to} did not receive the last {needed - has} bytes that {old} wrote; {old} is started again"
            raise RefusedError(message)
    log(f"{old} has stopped and {to} holds all of it (after {time.monotonic() - began:.3f} s)")


def ease_stop(cluster: Cluster, old: str, to: str) -> None:
    """Do ahead what the server that stops, and the one that follows, would do while clients wait."""
    leader = cluster.instances[old]
    postgres.query(leader, FILL_SEGMENT, "CHECKPOINT", timeout=60)
    filled = cluster.look_at(old).position
    deadline = time.monotonic() + 3
    while cluster.look_at(to).position < filled and time.monotonic() < deadline:
        cluster.wait()
    postgres.query(cluster.instances[to], "CHECKPOINT", timeout=60)


def end_of_wal(instance: Instance) -> int | None:
    """Return the place of the last record of a server that was shut down; None before it is written."""
    control = run([BIN / "pg_controldata", instance.data], user="postgres", timeout=5).stdout
    last = re.search(r"Latest checkpoint location:\s+(\w+)/(\w+)", control)
    return (int(last[1], 16) << 32) + int(last[2], 16) if "shut down\n" in control and last else None


def stop(instance: Instance, seen: Callable[[], int | None] = lambda: None, patience: float = 10.0) -> int | None:
    """Shut a server down cleanly; returns what `seen` finds, at once, or None when it is down.

    After its last record a server tidies up, for seconds where there is much old WAL: clients need not wait for that.
    """
    pid = processes.postmaster(instance)
    if pid is None:
        return None
    descriptor = os.pidfd_open(pid)
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGINT)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + patience
        while (found := seen()) is None and not poll.poll(10):
            if time.monotonic() > deadline:
                message = f"{instance.name} did not stop within {patience:g} s; nothing was promoted"
                raise RefusedError(message)
        return found
    finally:
        os.close(descriptor)
