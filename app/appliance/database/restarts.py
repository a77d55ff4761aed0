"""Which instance runs with replaced binaries or old settings, and restarting all of them without a failed statement."""

import contextlib
import time
from collections.abc import Callable

from appliance.database import pool, postgres, processes
from appliance.database.cluster import Cluster
from appliance.database.machine import Nodes
from appliance.database.rejoin import STREAM_PATIENCE_SECONDS, rejoin
from appliance.database.state import STABLE, State, Store
from appliance.database.switchover import switchover
from appliance.output import RefusedError
from appliance.system import has_replaced_files, run
from appliance.units import is_older_than_its_files, properties, running_replaced

DRAIN_SECONDS = 2.0


def pending(cluster: Cluster, nodes: Nodes) -> list[str]:
    """Return the instances that a restart would change."""
    found = []
    for name, node in nodes.items():
        pid = processes.postmaster(cluster.instances[name])
        if not node.answers or pid is None:
            continue
        with contextlib.suppress(postgres.QueryError):
            waiting = postgres.query(cluster.instances[name], "SELECT count(*) FROM pg_settings WHERE pending_restart")
            if waiting != [["0"]] or has_replaced_files(pid) or has_another_unit(cluster.instances[name].unit):
                found.append(name)
    return found


def has_another_unit(name: str) -> bool:
    """Tell whether systemd started a unit before its files were changed."""
    unit = properties(name)
    return unit["ActiveState"] == "active" and is_older_than_its_files(unit)


def restart_all(store: Store, cluster: Cluster, *, only_pending: bool, say: Callable[[str], None]) -> State:
    """Restart the standbys one by one, then have one of them lead; the former primary restarts as a standby."""
    state = store.load()
    nodes = cluster.look()
    todo = pending(cluster, nodes) if only_pending else list(nodes)
    restart_watchers(cluster, only_pending=only_pending)
    for name in todo:
        if name != state.primary:
            say(f"{name}: restarting")
            restart_standby(store, cluster, name)
    if state.primary not in todo:
        return store.load()
    say(f"{state.primary}: handing over")
    former = state.primary
    state = switchover(store, cluster)
    say(f"{state.primary} leads; {former} comes back as a standby")
    rejoin(store, cluster, former)
    return store.load()


def restart_watchers(cluster: Cluster, *, only_pending: bool) -> None:
    """Restart repmgr's daemons, which serve nobody; the supervisor watches the primary meanwhile."""
    units = [instance.watcher for instance in cluster.instances.values()]
    for unit in running_replaced(units) if only_pending else units:
        run(["systemctl", "restart", unit], timeout=60)


def restart_standby(store: Store, cluster: Cluster, name: str) -> None:
    """Restart one standby, after its readers have gone elsewhere, while another one keeps quorum commit."""
    instance = cluster.instances[name]
    with store.lock(patience=5):
        state = store.load()
        nodes = cluster.look()
        readers = cluster.readers(state.primary, nodes)
        others = [reader for reader in readers if reader != name]
        if state.phase != STABLE or state.primary == name or not others:
            message = (
                f"{name} is not restarted now: phase {state.phase}, {state.primary} leads, "
                f"readable besides it: {', '.join(others) or 'none'}"
            )
            raise RefusedError(message)
        pool.point(cluster.settings, state.primary, others)
        drain(cluster, name)
    before = processes.postmaster(instance)
    run(["systemctl", "restart", instance.unit], timeout=600)
    deadline = time.monotonic() + STREAM_PATIENCE_SECONDS
    while not (cluster.look_at(name).streams and processes.postmaster(instance) != before):
        if time.monotonic() > deadline:
            message = (
                f"{name} does not stream after its restart, the others were left alone; "
                f"see: journalctl -u {instance.unit}"
            )
            raise RefusedError(message)
        time.sleep(0.1)  # the server has no event for "streams"


def drain(cluster: Cluster, name: str) -> None:
    """Wait until the pool has let go of an instance."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = ANY ('{%s}')"
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(postgres.QueryError):
            if postgres.query(cluster.instances[name], count % ",".join(cluster.settings.databases)) == [["0"]]:
                return
        time.sleep(0.05)  # pgBouncer closes them as their transactions end, and tells nobody
