"""A planned change of the master that loses nothing.

A sentinel's own failover lets the old master take writes for a while that nobody will ever see again. So writes wait
from before the new one is level with the old one until the old one is its replica, and knows it.
"""

from appliance.output import RefusedError
from appliance.redis import cluster as redis
from appliance.redis.cluster import Cluster, wait
from appliance.redis.protocol import Connection, ReplyError
from appliance.redis.settings import HOST, QUORUM, WATCHED, Server
from appliance.system import log

PAUSE_MS = 8000
LEVEL_SECONDS = 2.0
ELIGIBLE_SECONDS = 15.0
FAILOVER_SECONDS = 5.0
LINK_SECONDS = 30.0
MAX_LAG_BYTES = 1 << 20
BUSY = "another operation on Redis is under way; try again when it is done"


def pick(cluster: Cluster, to: str | None) -> tuple[str, str]:
    """Return who is master and who is to be; refuse, with the reason, when that would not be safe."""
    if to and to not in cluster.instances:
        message = f"there is no instance {to}; there are {', '.join(cluster.instances)}"
        raise RefusedError(message)
    nodes, witnesses = cluster.look(), cluster.witnesses()
    old = redis.agreed(witnesses.values())
    if old is None or nodes[old].role != "master":
        message = (
            f"fewer than {QUORUM} sentinels agree on a master that answers, so nothing can be planned; "
            f"see: luckygas redis status"
        )
        raise RefusedError(message)
    if to == old:
        message = f"{to} is the master already"
        raise RefusedError(message)
    ready = [name for name, node in nodes.items() if node.linked and node.upstream == old and to in (None, name)]
    if not ready:
        message = f"{to or 'no instance'} is a replica of {old} with its link up; see: luckygas redis status"
        raise RefusedError(message)
    lag = nodes[old].offset - nodes[ready[0]].offset
    if lag > MAX_LAG_BYTES:
        message = f"{ready[0]} is {lag >> 10} kB behind; wait until `luckygas redis status` shows less"
        raise RefusedError(message)
    return old, ready[0]


def switchover(cluster: Cluster, to: str | None = None) -> tuple[str, str]:
    """Have another instance be the master; returns who was and who is. The caller has the lock."""
    old, new = pick(cluster, to)
    wait(
        lambda: is_eligible(cluster, new),
        ELIGIBLE_SECONDS,
        f"the sentinels do not take {new} for fit to be the master; nothing was changed, see: luckygas redis status",
        pause=0.2,
    )
    with cluster.connect(cluster.instances[old], timeout=2) as former:
        former("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
        try:
            wait(
                lambda: cluster.look_at(cluster.instances[new]).offset >= int(former.info()["master_repl_offset"]),
                LEVEL_SECONDS,
                f"{new} did not receive the last writes; {old} goes on as the master",
            )
            fail_over(cluster, new)
        finally:
            # Whatever happened: who is no longer the master must not take the writes that wait.
            if redis.agreed(cluster.witnesses().values()) == new:
                step_down(former, cluster.instances[new].port)
            former("CLIENT", "UNPAUSE")
    log(f"{new} is the master, {old} follows it")
    wait_for_link(cluster, old)
    return old, new


def is_eligible(cluster: Cluster, name: str) -> bool:
    """Tell whether the sentinel that is going to be asked knows a replica as one that may lead.

    It asks every ten seconds, so that one which was just restarted counts as cut off for that long.
    """
    with cluster.connect(spokesman(cluster)) as ask:
        replicas = [dict(zip(row[::2], row[1::2], strict=True)) for row in ask("SENTINEL", "REPLICAS", WATCHED)]
    port = str(cluster.instances[name].port)
    return any(
        one["port"] == port and one["flags"] == "slave" and one["master-link-status"] == "ok" for one in replicas
    )


def spokesman(cluster: Cluster) -> Server:
    """Return a sentinel that answers."""
    return next(cluster.sentinels[name] for name, witness in cluster.witnesses().items() if witness.answers)


def fail_over(cluster: Cluster, new: str) -> None:
    """Have a sentinel make `new` the master, and wait until enough of them know it."""
    with cluster.connect(spokesman(cluster)) as ask:
        try:
            ask("SENTINEL", "FAILOVER", WATCHED)
        except ReplyError as problem:
            message = f"the sentinels are not ready ({problem}); nothing was changed, try again in ten seconds"
            raise RefusedError(message) from problem
    wait(
        lambda: redis.agreed(cluster.witnesses().values()) == new,
        FAILOVER_SECONDS,
        f"the sentinels did not make {new} the master; see: journalctl -u 'redis-sentinel@*'",
    )


def step_down(former: Connection, port: int) -> None:
    """Make the former master a replica, and send away those who still take it for the master."""
    former("REPLICAOF", HOST, port)
    former("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    former("CONFIG", "REWRITE")


def wait_for_link(cluster: Cluster, name: str) -> None:
    """Wait until an instance is a replica with its link up."""
    wait(
        lambda: cluster.look_at(cluster.instances[name]).linked,
        LINK_SECONDS,
        f"{name} does not follow the master; see: luckygas redis status",
    )
