"""What the instances are at this moment, and what the sentinels hold for true."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from appliance.output import RefusedError
from appliance.redis.protocol import Connection, ReplyError, SilentError, connect
from appliance.redis.settings import QUORUM, WATCHED, Server, Settings


@dataclass(frozen=True)
class Node:
    """An instance as one look finds it."""

    role: str  # master, replica, loading, hangs, refuses, down
    upstream: str | None = None
    linked: bool = False
    offset: int = 0

    @property
    def answers(self) -> bool:
        """It serves clients."""
        return self.role in {"master", "replica"}


@dataclass(frozen=True)
class Witness:
    """A sentinel as one look finds it."""

    answers: bool = False
    master: str | None = None
    failing_over: bool = False


class Cluster:
    """The pair and its sentinels."""

    def __init__(self, settings: Settings) -> None:
        """Work with what the settings name."""
        self.settings = settings
        self.instances = settings.instances
        self.sentinels = settings.sentinels
        self.by_port = {server.port: server.name for server in settings.instances.values()}

    def connect(self, server: Server, timeout: float = 0.5) -> AbstractContextManager[Connection]:
        """Open a connection."""
        return connect(server.port, server.password, timeout=timeout)

    def look(self) -> dict[str, Node]:
        """Ask all instances at once how they are."""
        if not self.instances:
            return {}
        with ThreadPoolExecutor(len(self.instances)) as at_once:
            return dict(zip(self.instances, at_once.map(self.look_at, self.instances.values()), strict=True))

    def look_at(self, server: Server) -> Node:
        """Ask one instance how it is."""
        try:
            with self.connect(server) as ask:
                told = ask.info()
        except SilentError as problem:
            return Node("hangs" if problem.hangs else "down")
        except ReplyError:
            return Node("refuses")
        if told["loading"] == "1":
            return Node("loading")
        if told["role"] == "master":
            return Node("master", offset=int(told["master_repl_offset"]))
        return Node(
            "replica",
            upstream=self.by_port.get(int(told["master_port"])),
            linked=told["master_link_status"] == "up",
            offset=int(told["slave_repl_offset"]),
        )

    def witnesses(self) -> dict[str, Witness]:
        """Ask all sentinels at once."""
        if not self.sentinels:
            return {}
        with ThreadPoolExecutor(len(self.sentinels)) as at_once:
            return dict(zip(self.sentinels, at_once.map(self.ask, self.sentinels.values()), strict=True))

    def ask(self, sentinel: Server) -> Witness:
        """Ask one sentinel whom it holds for the master."""
        try:
            with self.connect(sentinel, timeout=0.3) as ask:
                told = ask.table("SENTINEL", "MASTER", WATCHED)
                address = ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", WATCHED)
        except (SilentError, ReplyError):
            return Witness()
        port = int(str(address[1])) if isinstance(address, list) else 0
        return Witness(
            answers=True, master=self.by_port.get(port), failing_over="failover_in_progress" in told["flags"]
        )

    def find_master(self) -> str:
        """Return the master on whom instances and sentinels agree; refuse when there is none."""
        nodes = self.look()
        name = master(nodes, self.witnesses().values())
        if name is None or nodes[name].role != "master":
            message = "no instance is known to be the master; see: luckygas redis status"
            raise RefusedError(message)
        return name


def agreed(witnesses: Iterable[Witness]) -> str | None:
    """Return the master on whom enough sentinels agree."""
    votes = Counter(witness.master for witness in witnesses if witness.master)
    return next((name for name, count in votes.items() if count >= QUORUM), None)


def master(nodes: dict[str, Node], witnesses: Iterable[Witness]) -> str | None:
    """Return whom clients find; where no sentinel answers, the only instance that is a master."""
    witnesses = list(witnesses)
    if any(witness.answers for witness in witnesses):
        known = {witness.master for witness in witnesses if witness.answers}
        return agreed(witnesses) or (known.pop() if len(known) == 1 else None)
    masters = [name for name, node in nodes.items() if node.role == "master"]
    return masters[0] if len(masters) == 1 else None


def wait(condition: Callable[[], object], seconds: float, message: str, pause: float = 0.02) -> None:
    """Wait until something is true, or refuse with what to do; neither Redis nor Sentinel has an event for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RefusedError(message)
        time.sleep(pause)
