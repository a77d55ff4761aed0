"""Asked before every start of an instance: a master that was replaced while it was away comes back as a replica.

On its own it would answer as a master for ten seconds, until a sentinel tells it, and lose what it is told meanwhile.
"""

import time

from appliance.redis import cluster as redis
from appliance.redis.settings import HOST, Server
from appliance.system import log, write_file

FAILOVER_SECONDS = 10.0


def place(cluster: redis.Cluster, name: str) -> str | None:
    """Write into the instance's own settings what enough sentinels say; returns the master that they name."""
    deadline = time.monotonic() + FAILOVER_SECONDS
    witnesses = cluster.witnesses().values()
    while any(witness.failing_over for witness in witnesses) and time.monotonic() < deadline:
        time.sleep(0.1)  # who is chosen in this moment is known in the next
        witnesses = cluster.witnesses().values()
    master = redis.agreed(witnesses)
    if master is None:
        return None
    server = cluster.instances[name]
    wanted = [] if master == name else [f"replicaof {HOST} {cluster.instances[master].port}"]
    lines = server.state.read_text().splitlines()
    if replication(lines) != wanted:
        log(f"{name} starts behind {master}, as the sentinels say" if wanted else f"{name} starts as the master")
        write(server, [line for line in lines if line not in replication(lines)] + wanted)
    return master


def replication(lines: list[str]) -> list[str]:
    """Return the lines that say whom an instance follows."""
    return [line for line in lines if line.split(" ", 1)[0].lower() in {"replicaof", "slaveof"}]


def write(server: Server, lines: list[str]) -> None:
    """Replace the instance's own settings."""
    write_file(server.state, "\n".join(lines) + "\n", mode=0o640, owner="redis")
