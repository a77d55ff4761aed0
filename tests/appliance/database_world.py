"""Three instances, a pool, clients and a program that may die at any moment: a model, small enough to search.

The program's own pure functions decide; the model only carries their actions out, one at a time, so that a crash can
fall between any two. Every value is immutable, so that a world is its own key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from appliance.database import machine
from appliance.database.machine import Attach, Kill, Node, Promote, Repoint, Restart, Save, Start, Stuck, Wait
from appliance.database.state import FAILOVER, STABLE, SWITCHOVER, State

NAMES = ("a", "b", "c")
MAX_WRITES = 2
MAX_PLANNED_EPOCH = 1  # a planned change begins only up to here, or the search would never end


@dataclass(frozen=True)
class Instance:
    """What an instance is and holds. Its log is what it wrote or received, oldest first."""

    running: bool = True
    hung: bool = False
    recovering: bool = False  # it has WAL to replay before it answers, however often it is started
    standby: bool = True  # its disk says so
    upstream: str | None = "a"
    log: tuple[int, ...] = ()
    enforces: bool = True  # as a primary: commits wait for a standby
    copied: int = 0  # fenced, and made a copy of the primary of this epoch

    @property
    def answers(self) -> bool:
        """It can be asked."""
        return self.running and not self.hung and not self.recovering

    @property
    def leads(self) -> bool:
        """It is a primary, if a hanging one."""
        return self.running and not self.standby


@dataclass(frozen=True)
class World:
    """Everything there is. `todo` is what the program, which holds the lock, means to do next."""

    state: tuple
    instances: tuple[Instance, Instance, Instance]
    acknowledged: frozenset[int] = frozenset()
    written: int = 0
    pool: str = "a"
    todo: tuple = ()
    faults: int = 0
    may_lose: bool = False  # patience ended: one that may hold more was left behind, with a message

    def get(self, name: str) -> Instance:
        """Return an instance."""
        return self.instances[NAMES.index(name)]

    def put(self, name: str, **changes: object) -> Self:
        """Return the world with one instance changed."""
        at = NAMES.index(name)
        changed = replace(self.instances[at], **changes)
        return replace(self, instances=(*self.instances[:at], changed, *self.instances[at + 1 :]))


def freeze(state: State) -> tuple:
    """Return a state as a hashable value."""
    return (
        state.primary,
        state.epoch,
        state.phase,
        state.candidate,
        state.preferred,
        state.quorum,
        tuple(sorted(state.fenced)),
    )


def thaw(frozen: tuple) -> State:
    """Return the state that was frozen."""
    primary, epoch, phase, candidate, preferred, quorum, fenced = frozen
    return State(
        primary=primary,
        epoch=epoch,
        phase=phase,
        candidate=candidate,
        preferred=preferred,
        quorum=quorum,
        fenced=dict.fromkeys(fenced, "model"),
    )


def start_world() -> World:
    """One leads, two stream, quorum commit is on."""
    return World(
        freeze(State(primary="a", quorum=True)), (Instance(standby=False, upstream=None), Instance(), Instance())
    )


def restored_world() -> World:
    """Restored data was put in the place of what led, then the program died: one is to lead, and replays WAL."""
    state = State(primary="a", phase=FAILOVER, candidate="a", fenced=dict.fromkeys("bc", "model"))
    fenced = Instance(running=False)
    return World(freeze(state), (Instance(upstream=None, recovering=True), fenced, fenced))


def streams(world: World, name: str) -> bool:
    """Tell whether WAL flows to an instance now."""
    node = world.get(name)
    if not (node.answers and node.standby and node.upstream):
        return False
    upstream = world.get(node.upstream)
    return upstream.answers and upstream.log[: len(node.log)] == node.log


def look(world: World) -> dict[str, Node]:
    """Return what the program sees."""
    nodes = {}
    for name in NAMES:
        node = world.get(name)
        answers = node.answers
        nodes[name] = Node(
            processes=node.running,
            answers=answers,
            starting=node.running and not node.hung and node.recovering,
            primary=answers and not node.standby,
            position=len(node.log) if answers else 0,
            settled=answers,
            upstream=node.upstream if answers else None,
            streams=streams(world, name),
        )
    return nodes


def carry_out(world: World, action: object) -> World:  # noqa: PLR0911 - one for each kind of action
    """Return the world after one action of the program."""
    match action:
        case Save(state):
            return replace(world, state=freeze(state))
        case Kill(node):
            return world.put(node, running=False, hung=False, standby=True)
        case Start(node):
            return start(world, node)
        case Restart(node):
            return start(world.put(node, running=False, hung=False), node)
        case Attach(node, upstream):
            there = world.get(node)
            return world.put(node, upstream=upstream) if there.answers else world
        case Promote(node):
            there = world.get(node)
            return world.put(node, standby=False, upstream=None, enforces=True) if there.answers else world
        case Repoint(primary):
            return replace(world, pool=primary)
    return world


def start(world: World, name: str) -> World:
    """Return the world after a start was asked for, by whomever; the guard has its say."""
    node = world.get(name)
    if node.running or machine.may_start(thaw(world.state), name, standby=node.standby):
        return world
    return world.put(name, running=True)


def stopped(world: World, old: str, to: str) -> World:
    """Return the world after a clean stop, once the one that is to follow holds everything; else it is called off."""
    leader = world.get(old)
    if leader.leads and leader.answers and streams(world, to) and world.get(to).log == leader.log:
        return world.put(old, running=False)
    return replace(world, todo=())


def program(world: World) -> Iterator[World]:
    """Return every world that the program's next step may lead to. With something to do, it holds the lock."""
    if world.todo:
        action, rest = world.todo[0], replace(world, todo=world.todo[1:])
        match action:
            case ("stop", old, to):
                yield stopped(rest, old, to)
            case ("enforce", name, on):
                yield rest.put(name, enforces=on)
            case Promote(node) if not world.get(node).answers:
                yield replace(world, todo=())  # an error ends the run
            case _:
                yield carry_out(rest, action)
        return
    state, nodes = thaw(world.state), look(world)
    for impatient in (False, True):
        yield from intends(world, machine.next_actions(state, nodes, impatient=impatient))
    if state.phase == STABLE:
        yield from intends(world, machine.lost(state, nodes, "model", now=0.0))
        yield from repairs(world, state, nodes)
        yield from switchovers(world, state, nodes)
        yield from quorum_changes(world, state, nodes)


def intends(world: World, actions: list) -> Iterator[World]:
    """Return the world in which these actions are to be carried out, one by one."""
    steps = tuple(action for action in actions if not isinstance(action, Wait | Stuck))
    if steps:
        before = thaw(world.state)
        leaves_behind = any(
            isinstance(step, Save)
            and step.state.phase == FAILOVER == before.phase
            and len(step.state.fenced) > len(before.fenced)
            for step in steps
        )
        yield replace(world, todo=steps, may_lose=world.may_lose or leaves_behind)


def repairs(world: World, state: State, nodes: dict[str, Node]) -> Iterator[World]:
    """What the supervisor does for those that do not lead. A copy is made without the lock, and released with it."""
    leader_answers = nodes[state.primary].primary
    for name, node in nodes.items():
        if name == state.primary:
            continue
        if name in state.fenced:
            if leader_answers and not node.processes:
                source = world.get(state.primary)
                yield world.put(name, log=source.log, standby=True, upstream=state.primary, copied=state.epoch)
            if world.get(name).copied == state.epoch:
                yield replace(world.put(name, copied=0), todo=(Save(state.releasing(name)), Start(name)))
        elif not node.processes:
            yield replace(world, todo=(Start(name),))
        elif node.answers and node.upstream != state.primary:
            yield replace(world, todo=(Attach(name, state.primary),))


def switchovers(world: World, state: State, nodes: dict[str, Node]) -> Iterator[World]:
    """A planned change: saved as such, the old one stopped cleanly, then deposed in favour of one that has it all."""
    if state.epoch > MAX_PLANNED_EPOCH or not state.quorum:
        return
    for name, node in nodes.items():
        if (
            name not in (state.primary, *state.fenced)
            and node.streams
            and node.upstream == state.primary
            and nodes[state.primary].primary
        ):
            planned = replace(state, phase=SWITCHOVER, candidate=name)
            deposed = machine.depose(planned, "model", 0.0, preferred=name)
            yield replace(world, todo=(Save(planned), ("stop", state.primary, name), Save(deposed)))


def quorum_changes(world: World, state: State, nodes: dict[str, Node]) -> Iterator[World]:
    """Fall back when nobody streams; return when somebody does and holds everything."""
    leader = world.get(state.primary)
    if not nodes[state.primary].primary:
        return
    followers = [name for name in NAMES if nodes[name].streams and nodes[name].upstream == state.primary]
    if state.quorum and not followers:
        yield replace(world, todo=(Save(replace(state, quorum=False)), ("enforce", state.primary, False)))
    if not state.quorum and followers and not leader.enforces:
        yield world.put(state.primary, enforces=True)
    if not state.quorum and leader.enforces and any(world.get(name).log == leader.log for name in followers):
        yield replace(world, state=freeze(replace(state, quorum=True)))


def surroundings(world: World, max_faults: int) -> Iterator[World]:
    """Return every world that clients, WAL, humans and faults may lead to."""
    yield from clients(world)
    for name in NAMES:
        node = world.get(name)
        if streams(world, name) and len(node.log) < len(world.get(node.upstream).log):
            yield world.put(name, log=world.get(node.upstream).log[: len(node.log) + 1])
        if node.hung:
            yield world.put(name, hung=False)
        elif node.running and node.recovering:
            yield world.put(name, recovering=False)
        if not node.running:
            yield start(world, name)
    if world.faults < max_faults:
        yield from harm(replace(world, faults=world.faults + 1))


def clients(world: World) -> Iterator[World]:
    """Return the worlds in which a client has written, or was told that its write is safe."""
    leader = world.get(world.pool)
    if not leader.leads or not leader.answers:
        return
    if world.written < MAX_WRITES:
        number = world.written + 1
        yield replace(world.put(world.pool, log=(*leader.log, number)), written=number)
    followers = [world.get(name) for name in NAMES if streams(world, name) and world.get(name).upstream == world.pool]
    for write in set(leader.log) - world.acknowledged:
        if not leader.enforces or any(write in node.log for node in followers):
            yield replace(world, acknowledged=world.acknowledged | {write})


def harm(world: World) -> Iterator[World]:
    """Return the worlds in which an instance, the program or the machine has just failed."""
    everything_down = replace(world, todo=())
    for name in NAMES:
        if world.get(name).running:
            yield world.put(name, running=False, hung=False)
            if not world.get(name).hung:
                yield world.put(name, hung=True)
        everything_down = everything_down.put(name, running=False, hung=False)
    yield everything_down
    if world.todo:
        yield replace(world, todo=())  # the program dies; the kernel gives back its lock
