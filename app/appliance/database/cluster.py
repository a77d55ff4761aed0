"""The real world behind the state machine: looks at the three instances, and carries out its actions."""

import time
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor

from appliance.database import pool, postgres, processes
from appliance.database.machine import Attach, Kill, Node, Nodes, Promote, Repoint, Restart, Start
from appliance.database.settings import Settings
from appliance.system import log

START_INTERVAL_SECONDS = 1.0
"""One that fails at once is not started again and again without a pause."""


class Cluster:
    """The instances of this machine and the pool in front of them."""

    def __init__(self, settings: Settings) -> None:
        """Work with the instances that the settings name."""
        self.settings = settings
        self.instances = settings.instances
        self.started_at: dict[str, float] = {}

    def now(self) -> float:
        """Seconds since the epoch, for the state and its readers: phases outlive a reboot."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds by which to be patient: after a start of the machine its clock may be set back by hours."""
        return time.monotonic()

    def wait(self) -> None:
        """Let a moment pass before the next look; there is no event for another program's progress."""
        time.sleep(0.02)

    def look(self, fenced: Container[str] = ()) -> dict[str, Node]:
        """Ask all instances at once how they are; of the fenced ones, only whether they are there."""

        def at(name: str) -> Node:
            return Node(processes=bool(processes.of(self.instances[name]))) if name in fenced else self.look_at(name)

        with ThreadPoolExecutor(len(self.instances)) as at_once:
            return dict(zip(self.instances, at_once.map(at, self.instances), strict=True))

    def look_at(self, name: str) -> Node:
        """Ask one instance how it is."""
        instance = self.instances[name]
        return postgres.look(self.settings, instance, processes=bool(processes.of(instance)))

    def hold_clients(self) -> None:
        """Have new statements wait in the pool while there is no primary."""
        pool.hold(self.settings)

    def perform(self, action: Kill | Start | Restart | Attach | Promote | Repoint) -> None:
        """Carry out one action; each may be repeated."""
        if isinstance(action, Start) and not self.may_start_again(action.node):
            return
        log(str(action))
        match action:
            case Kill(node):
                processes.fence(self.instances[node])
            case Start(node):
                processes.start(self.instances[node])
            case Restart(node):
                processes.kill(self.instances[node])
                processes.start(self.instances[node])
            case Attach(node, upstream):
                self.attach(node, upstream)
            case Promote(node):
                postgres.promote(self.instances[node])
            case Repoint(primary):
                self.repoint(primary, [])

    def may_start_again(self, node: str) -> bool:
        """Tell whether an instance was not started a moment ago, and note that it is now."""
        now = time.monotonic()
        if now - self.started_at.get(node, -START_INTERVAL_SECONDS) < START_INTERVAL_SECONDS:
            return False
        self.started_at[node] = now
        return True

    def attach(self, node: str, upstream: str) -> None:
        """Let a standby follow; one that cannot is found and repaired later, it must not hold up the others."""
        try:
            postgres.attach(self.instances[node], self.instances[upstream])
        except postgres.QueryError as problem:
            log(f"{node} does not follow {upstream} yet: {problem}")

    def repoint(self, primary: str, readers: list[str]) -> None:
        """Send the clients to the primary, and let them go on."""
        pool.point(self.settings, primary, readers)
        pool.resume(self.settings)

    def readers(self, primary: str, nodes: Nodes) -> list[str]:
        """Return the standbys that may answer reads: they stream, and show what is not older than ten seconds."""
        behind = 10.0
        bytes_behind = 16 << 20
        return [
            name
            for name, node in nodes.items()
            if name != primary
            and node.answers
            and not node.primary
            and node.streams
            and node.upstream == primary
            and (node.replay_seconds <= behind or nodes[primary].position - node.position <= bytes_behind)
        ]
