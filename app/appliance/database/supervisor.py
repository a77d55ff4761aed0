"""Always running: knows at once when the primary dies, finds out when it hangs, and repairs what is less than whole.

repmgrd decides as well, but polls, and cannot start while the primary hangs. This program needs only the machine.
"""

import contextlib
import os
import select
import shutil
import threading
import time
from dataclasses import dataclass, field

from appliance.database import engine, metrics, pool, processes, quorum, registry
from appliance.database.cluster import Cluster
from appliance.database.machine import Attach, Kill, Nodes, Start, may_start
from appliance.database.postgres import QueryError
from appliance.database.processes import UnkillableError
from appliance.database.state import STABLE, NoStateError, State, Store
from appliance.output import RefusedError
from appliance.system import BusyError, log, run

TICK_SECONDS = 1.0
HANG_SECONDS = 3.0
STANDBY_DOWN_SECONDS = 2.0  # a human's restart, or a rejoin that somebody began, is given time to show
STANDBY_HANG_SECONDS = 10.0
NOT_STREAMING_SECONDS = 30.0
REPAIR_INTERVAL_SECONDS = 15.0
METRICS_INTERVAL_SECONDS = 5.0
FULL_BYTES = 1 << 20
ROOM_BYTES = 256 << 20
ARCHIVE_WATCH = "luckygas-backup-watch.service"
EXPECTED = (BusyError, RefusedError, NoStateError, QueryError, UnkillableError, OSError)


def watch(store: Store, cluster: Cluster) -> None:
    """Wait for the primary's process itself; the kernel tells the moment of its death."""
    seen: tuple[str, int] | None = None
    while True:
        try:
            state = store.load()
            term = (state.primary, state.epoch)
            pid = processes.postmaster(cluster.instances[state.primary]) if state.phase == STABLE else None
            # One that was there and is not any more died between two waits.
            if pid is None and (state.phase != STABLE or seen != term):
                time.sleep(0.2)  # nobody leads, or somebody is at work: the other thread sees to that
                continue
            seen = term
            if (pid is None or died(pid, patience=1.0)) and store.load().primary == state.primary:
                seen = None
                log(f"the server process of {state.primary} is gone")
                take_over(store, cluster, state.primary, "its server process ended")
        except EXPECTED as problem:
            log(f"watch: {problem}")
            time.sleep(0.5)


def died(pid: int, patience: float) -> bool:
    """Wait for a process to end; False when it outlives the patience."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(patience * 1000))
    finally:
        os.close(descriptor)


def take_over(store: Store, cluster: Cluster, suspect: str, why: str, *, although_it_answers: bool = False) -> None:
    """Replace the primary, then set off what may come later."""
    state = engine.fail_over(store, cluster, suspect, why, although_it_answers=although_it_answers)
    if state.primary != suspect:
        follow_up(cluster, state, led_before=suspect)


def follow_up(cluster: Cluster, state: State, *, led_before: str) -> None:
    """Set off what is left to be done once one leads, while clients work already."""
    registry.record(cluster.settings, state)
    if state.primary != led_before:
        # WAL that its predecessor could not archive: after the next failover nobody may have it any more.
        run(["systemctl", "start", "--no-block", ARCHIVE_WATCH], timeout=5)
    start_rejoins(state)


def start_rejoins(state: State) -> None:
    """Have each fenced instance repaired, in a unit of its own: it may take long."""
    for name in state.fenced:
        run(["systemctl", "start", "--no-block", f"luckygas-database-rejoin@{name}.service"], timeout=5)


@dataclass
class Supervisor:
    """The part that looks every second."""

    store: Store
    cluster: Cluster
    silent_since: float | None = None
    memory: quorum.Memory = field(default_factory=lambda: quorum.Memory(time.monotonic()))
    epoch: int = 0
    wrong_since: dict[tuple[str, bool], float] = field(default_factory=dict)  # by name, and whether it is fenced
    repaired_at: dict[str, float] = field(default_factory=dict)
    metrics_at: float = 0.0

    def run(self) -> None:
        """Look every second, for ever; at once again while the primary does not answer."""
        while True:
            began = time.monotonic()
            try:
                self.tick()
            except EXPECTED as problem:
                log(f"supervisor: {problem}")
                with contextlib.suppress(*EXPECTED):
                    self.tell()
            if self.silent_since is None:
                time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))
            else:
                time.sleep(0.05)

    def tick(self) -> None:
        """Look once, and do what is to be done."""
        began = time.monotonic()
        state = self.store.load()
        if state.phase != STABLE:
            led_before = state.primary
            state = engine.reconcile(self.store, self.cluster, patience=0)
            follow_up(self.cluster, state, led_before=led_before)
        if state.epoch != self.epoch:
            self.epoch, self.memory = state.epoch, quorum.Memory(time.monotonic())
        nodes = self.cluster.look()
        if nodes[state.primary].primary:
            self.silent_since = None
            quorum.step(self.cluster.settings, self.store, self.memory, state.epoch, time.monotonic())
            self.repair(state, nodes)
            self.keep_pools(state, nodes)
            self.leave_a_full_disk(state, nodes)
        else:
            self.silent_since = self.silent_since or began
            if time.monotonic() - self.silent_since >= HANG_SECONDS:
                self.silent_since = None
                take_over(self.store, self.cluster, state.primary, f"it did not answer for {HANG_SECONDS:g} s")
        self.tell(nodes)

    def tell(self, nodes: Nodes | None = None) -> None:
        """Write the figures every few seconds, most of all while nothing else can be done."""
        if time.monotonic() - self.metrics_at < METRICS_INTERVAL_SECONDS:
            return
        self.metrics_at = time.monotonic()
        metrics.write(self.cluster, self.store.load(), nodes or self.cluster.look())

    def leave_a_full_disk(self, state: State, nodes: Nodes) -> None:
        """Replace a primary that answers and cannot write, if a standby has room. On one common disk none has."""
        others = [
            name
            for name in nodes
            if name != state.primary and nodes[name].streams and nodes[name].upstream == state.primary
        ]
        if (
            state.quorum
            and self.free(state.primary) < FULL_BYTES
            and any(self.free(name) > ROOM_BYTES for name in others)
        ):
            log(f"the disk of {state.primary} is full")
            take_over(self.store, self.cluster, state.primary, "its disk is full", although_it_answers=True)

    def free(self, name: str) -> int:
        """Return how much room an instance has."""
        return shutil.disk_usage(self.cluster.instances[name].data).free

    def keep_pools(self, state: State, nodes: Nodes) -> None:
        """Have reads go where they are answered, and end a pause that somebody left behind."""
        with self.store.lock(patience=0):
            if self.store.load() == state:
                pool.point(self.cluster.settings, state.primary, self.cluster.readers(state.primary, nodes))
                if pool.is_paused(self.cluster.settings):
                    pool.resume(self.cluster.settings)

    def repair(self, state: State, nodes: Nodes) -> None:
        """See to every instance that is not what it should be."""
        now = time.monotonic()
        for name, node in nodes.items():
            is_fenced = name in state.fenced
            # why: one that a rejoin has just released was not wrong before, however long it had been fenced.
            self.wrong_since.pop((name, not is_fenced), None)
            is_whole = not is_fenced and node.streams and node.upstream == state.primary
            if name == state.primary or is_whole:
                self.wrong_since.pop((name, is_fenced), None)
                continue
            since = now - self.wrong_since.setdefault((name, is_fenced), now)
            if now - self.repaired_at.get(name, -REPAIR_INTERVAL_SECONDS) < REPAIR_INTERVAL_SECONDS:
                continue
            if self.repair_one(state, name, nodes, since):
                self.repaired_at[name] = now

    def repair_one(self, state: State, name: str, nodes: Nodes, since: float) -> bool:
        """Do what helps one instance; False when it is to be left alone for now."""
        node = nodes[name]
        if name in state.fenced and since >= STANDBY_DOWN_SECONDS:
            start_rejoins(state)
        elif name in state.fenced:
            return False
        elif node.primary:
            self.fence(state, name, "it was promoted behind the appliance's back")
        elif node.answers and node.upstream != state.primary:
            self.act(state, Attach(name, state.primary))
        elif node.answers and since >= NOT_STREAMING_SECONDS:
            self.fence(state, name, f"it did not stream for {NOT_STREAMING_SECONDS:g} s")
        elif not node.processes and since >= STANDBY_DOWN_SECONDS:
            if may_start(state, name, standby=self.cluster.instances[name].is_standby):
                self.fence(state, name, "its data is gone, or that of a primary")
            else:
                self.act(state, Start(name))
        elif node.processes and not node.answers and not node.starting and since >= STANDBY_HANG_SECONDS:
            self.fence(state, name, f"it did not answer for {STANDBY_HANG_SECONDS:g} s")
        else:
            return False
        return True

    def act(self, state: State, action: Attach | Start) -> None:
        """Carry an action out, unless the state has changed since it was decided."""
        with self.store.lock(patience=0):
            if self.store.load() == state:
                self.cluster.perform(action)

    def fence(self, state: State, name: str, why: str) -> None:
        """Take an instance out, to be made a copy again."""
        with self.store.lock(patience=0):
            if self.store.load() != state:
                return
            log(f"{name} is taken out: {why}")
            fenced = self.store.save(state.fencing(name, why))
            self.cluster.perform(Kill(name))
        start_rejoins(fenced)


def main(store: Store, cluster: Cluster) -> None:
    """Run both parts; when one of them ends, so does the program, and systemd starts it again."""
    log("supervisor: at work")

    def guarded() -> None:
        try:
            watch(store, cluster)
        finally:
            os._exit(1)

    threading.Thread(target=guarded, daemon=True).start()
    Supervisor(store, cluster).run()
