"""An instance that cannot read its data: the data is set aside, and it copies the master's."""

import time

from appliance.output import RefusedError
from appliance.redis.cluster import Cluster, wait
from appliance.redis.switchover import LINK_SECONDS
from appliance.system import log, run

FILES = ("appendonlydir", "dump.rdb")


def rejoin(cluster: Cluster, name: str, *, accept_loss: bool) -> str:
    """Set the data of an instance that does not run aside and start it; returns where the data lies now."""
    if name not in cluster.instances:
        message = f"there is no instance {name}; there are {', '.join(cluster.instances)}"
        raise RefusedError(message)
    nodes = cluster.look()
    if nodes[name].answers:
        message = f"{name} runs ({nodes[name].role}): there is nothing to mend"
        raise RefusedError(message)
    if not accept_loss and not any(node.role == "master" for node in nodes.values()):
        message = (
            f"no other instance is a master, so {name} would begin empty: caches, counters and breaker states "
            f"are gone, nothing else. If that is accepted: luckygas redis rejoin {name} --accept-loss"
        )
        raise RefusedError(message)
    server = cluster.instances[name]
    run(["systemctl", "stop", server.unit], timeout=60)
    aside = server.data / f"unreadable-{time.strftime('%Y%m%dT%H%M%S')}"
    aside.mkdir(mode=0o700)
    for file in FILES:
        if (server.data / file).exists():
            (server.data / file).rename(aside / file)
    log(f"the data of {name} was set aside in {aside}")
    run(["systemctl", "reset-failed", server.unit], timeout=10)
    run(["systemctl", "start", server.unit], timeout=60)
    wait(
        lambda: cluster.look_at(server).linked or cluster.look_at(server).role == "master",
        LINK_SECONDS,
        f"{name} does not come back; see: journalctl -u {server.unit}",
    )
    return str(aside)
