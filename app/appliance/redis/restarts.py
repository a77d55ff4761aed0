"""Which servers run with replaced binaries or old settings, and restarting them without losing a write."""

import contextlib
from collections.abc import Callable

from appliance.redis import live, users
from appliance.redis.cluster import Cluster, wait
from appliance.redis.protocol import ReplyError, SilentError
from appliance.redis.settings import WATCHED, Server
from appliance.redis.switchover import LINK_SECONDS, switchover, wait_for_link
from appliance.system import has_replaced_files, run
from appliance.units import is_older_than_its_files, properties


def pending(cluster: Cluster) -> list[str]:
    """Return the units that a restart would change."""
    return [server.unit for server in cluster.settings.servers if is_pending(cluster, server)]


def is_pending(cluster: Cluster, server: Server) -> bool:
    """Tell whether a server runs, but not with what is installed and written for it."""
    unit = properties(server.unit)
    if unit["ActiveState"] != "active":
        return False
    if has_replaced_files(int(unit["MainPID"])) or is_older_than_its_files(unit):
        return True
    with contextlib.suppress(SilentError, ReplyError), cluster.connect(server) as ask:
        return bool(live.differing(ask, server))
    return False


def restart_all(cluster: Cluster, *, only_pending: bool, say: Callable[[str], None]) -> None:
    """Restart the replica, hand over to it, restart the former master, then one sentinel after the other."""
    units = pending(cluster) if only_pending else [server.unit for server in cluster.settings.servers]
    master = cluster.find_master()
    due = [name for name, server in cluster.instances.items() if server.unit in units]
    for name in sorted(due, key=lambda one: one == master):
        if name == master:
            _, new = switchover(cluster)
            say(f"{name}: handed over to {new}")
        restart(cluster.instances[name])
        wait_for_link(cluster, name)
        say(f"{name}: restarted, follows the master")
    for name, sentinel in cluster.sentinels.items():
        if sentinel.unit in units:
            restart(sentinel)
            wait(
                lambda one=sentinel: sees_quorum(cluster, one),
                LINK_SECONDS,
                f"sentinel {name} does not find the others, they were left alone; see: journalctl -u {sentinel.unit}",
            )
            say(f"sentinel {name}: restarted, sees the others")


def restart(server: Server) -> None:
    """Restart one unit."""
    run(["systemctl", "restart", server.unit], timeout=60)


def sees_quorum(cluster: Cluster, sentinel: Server) -> bool:
    """Tell whether a sentinel could bring about a failover."""
    try:
        with cluster.connect(sentinel) as ask:
            return str(ask("SENTINEL", "CKQUORUM", WATCHED)).startswith("OK")
    except (SilentError, ReplyError):
        return False


def retire(cluster: Cluster) -> list[str]:
    """End the passwords that were replaced; returns whose."""
    ended = users.replaced()
    if ended:
        live.apply(cluster, keep_former=False)
    return ended
