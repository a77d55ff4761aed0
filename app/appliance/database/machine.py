"""What to do next, as pure functions of the state and of one look at the instances.

Nothing here touches the machine, so that tests/appliance can try every order of events and every point of interruption.
Every answer may be carried out twice: whoever carries it out looks again afterwards and asks again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from appliance.database.state import FAILOVER, STABLE, SWITCHOVER, State


@dataclass(frozen=True)
class Node:
    """What one look at an instance showed."""

    processes: bool = False  # any process of it is there, be it stopped
    answers: bool = False
    starting: bool = False  # it says that it is starting up
    primary: bool = False  # it answers and takes writes
    position: int = 0  # how much WAL it holds, in bytes
    settled: bool = False  # as a standby: it has read all the WAL that lies on its disk
    upstream: str | None = None  # from whom it is told to stream
    streams: bool = False  # it does so now
    replay_seconds: float = 0.0  # how old what its readers see may be


Nodes = Mapping[str, Node]


@dataclass(frozen=True)
class Save:
    """Make this the state."""

    state: State


@dataclass(frozen=True)
class Kill:
    """Leave no process of a fenced instance, and have its disk say that it must not lead."""

    node: str


@dataclass(frozen=True)
class Start:
    """Start the instance."""

    node: str


@dataclass(frozen=True)
class Restart:
    """Clear away what is left of an instance and start it as what it was."""

    node: str


@dataclass(frozen=True)
class Attach:
    """Let a standby stream from `upstream`."""

    node: str
    upstream: str


@dataclass(frozen=True)
class Promote:
    """Make the standby a primary; when it does not take writes after that, no later step may follow."""

    node: str


@dataclass(frozen=True)
class Repoint:
    """Send the pool's clients to this primary, and let them go on."""

    primary: str


@dataclass(frozen=True)
class Wait:
    """Look again shortly."""

    why: str


@dataclass(frozen=True)
class Stuck:
    """Nothing safe is left to do without a human."""

    why: str


Action = Save | Kill | Start | Restart | Attach | Promote | Repoint | Wait | Stuck


def next_actions(state: State, nodes: Nodes, *, impatient: bool = False, now: float = 0.0) -> list[Action]:
    """Return the next steps towards `stable`; empty when there. `impatient`: this phase has lasted too long."""
    if state.phase == SWITCHOVER:
        return call_off(state, nodes, impatient=impatient, now=now)
    if state.phase != FAILOVER:
        return []
    alive = [Kill(name) for name in state.fenced if nodes[name].processes]
    if alive:
        return alive
    if state.candidate is None:
        return choose(state, nodes, impatient=impatient, now=now)
    return enthrone(state, state.candidate, nodes, impatient=impatient, now=now)


def choose(state: State, nodes: Nodes, *, impatient: bool, now: float) -> list[Action]:
    """Take, now that the old primary is dead, the one that holds most of what it wrote."""
    eligible = {name: node for name, node in nodes.items() if name not in state.fenced}
    rogues = [name for name, node in eligible.items() if node.primary]
    if rogues:
        return [Save(state.fencing(rogues[0], "it was promoted behind the appliance's back"))]
    final = {
        name: node
        for name, node in eligible.items()
        if node.answers and node.settled and not (node.streams and node.upstream in state.fenced)
    }
    missing = [name for name in eligible if name not in final]
    if missing and not impatient:
        # One that does not answer may be the only one that holds the last acknowledged write.
        return [*revive(missing[0], nodes), Wait(f"{missing[0]} has not said yet how much it holds")]
    if not final:
        return [*[Start(name) for name in missing], Stuck("no instance is left that could lead")]
    best = max(final, key=lambda name: (final[name].position, name == state.preferred, name))
    chosen = replace(state, candidate=best, since=now)
    for name in missing:
        chosen = chosen.fencing(name, f"it did not say how much it held when {best} was chosen")
    return [Save(chosen), *crown(chosen, best, nodes)]


def enthrone(state: State, candidate: str, nodes: Nodes, *, impatient: bool, now: float) -> list[Action]:
    """Bring the chosen one to lead, however far it had got."""
    node = nodes[candidate]
    if not node.answers:
        others = [name for name in nodes if name != candidate and name not in state.fenced]
        if impatient and any(nodes[name].answers for name in others):
            given_up = replace(state, candidate=None, since=now)
            return [Save(given_up.fencing(candidate, "it was chosen to lead and did not answer"))]
        # Never fenced while it is the only one that can lead: it may replay WAL for minutes before it answers.
        revived = [action for name in (candidate, *others) for action in revive(name, nodes)]
        if impatient and not node.starting:
            return [*revived, Stuck(last_words(candidate))]
        return [*revived, Wait(f"{candidate} was chosen to lead and does not answer yet")]
    return crown(state, candidate, nodes)


def crown(state: State, candidate: str, nodes: Nodes) -> list[Action]:
    """Return all that is left to do, in one go: clients wait. Others are attached first, so that a commit finds one."""
    followers = [
        Attach(name, candidate)
        for name, other in nodes.items()
        if name != candidate and name not in state.fenced and other.answers and other.upstream != candidate
    ]
    promotion = [] if nodes[candidate].primary else [*followers, Promote(candidate)]
    # What it inherited may be on no other instance yet, so quorum commit has to be confirmed anew.
    done = replace(
        state,
        primary=candidate,
        epoch=state.epoch + 1,
        phase=STABLE,
        candidate=None,
        preferred=None,
        quorum=False,
        last={"from": state.primary, "to": candidate, "at": state.since, "why": state.reason},
    )
    return [*promotion, Repoint(candidate), Save(done)]


def call_off(state: State, nodes: Nodes, *, impatient: bool, now: float) -> list[Action]:
    """Let the primary go on, or fail, when a planned change was broken off before its point of no return."""
    if nodes[state.primary].primary:
        return [Repoint(state.primary), Save(replace(state, phase=STABLE, candidate=None))]
    if impatient:
        return [Save(depose(state, "it did not come back when a switchover was called off", now))]
    return [*revive(state.primary, nodes), Wait(f"{state.primary} is to go on leading")]


def last_words(name: str) -> str:
    """Return what can be done when the only one that may lead does not."""
    return (
        f"{name} is the only one that may lead, and does not answer: systemctl restart postgresql@17-{name}. "
        f"Only if its data is lost: luckygas db init ANOTHER --overwrite --accept-loss"
    )


def revive(name: str, nodes: Nodes) -> list[Action]:
    """Start an instance that is gone; one that says it is starting is left to it."""
    return [] if nodes[name].answers or nodes[name].starting or nodes[name].processes else [Start(name)]


def depose(state: State, why: str, now: float, *, preferred: str | None = None) -> State:
    """Return the state from which the primary never leads again as it is; who follows is chosen once it is dead."""
    deposed = replace(state, phase=FAILOVER, candidate=None, preferred=preferred, since=now, reason=why)
    return deposed.fencing(state.primary, why)


def lost(state: State, nodes: Nodes, why: str, *, now: float, accept_loss: bool = False) -> list[Action]:
    """Return the first step when the primary is held to be lost. Asked with the lock held and after a last look."""
    if state.phase != STABLE or nodes.get(state.primary, Node()).primary:
        return []
    is_the_last = bool(nodes) and all(name == state.primary or name in state.fenced for name in nodes)
    if not is_the_last and (state.quorum or accept_loss):
        return [Save(depose(state, why, now))]
    if is_the_last and accept_loss:
        return [Stuck(last_words(state.primary))]
    # Without quorum commit, acknowledged writes may lie on this instance alone, and while all others are fenced nobody
    # else could lead: only it may go on.
    return [] if nodes.get(state.primary, Node()).starting else [Restart(state.primary)]


def may_start(state: State, node: str, *, standby: bool) -> str | None:
    """Return why an instance must not be started, None if it may. `standby`: its data directory says that it is one."""
    if node in state.fenced:
        return (
            f"{node} is fenced ({state.fenced[node]}). It comes back by itself; "
            f"to see to it now: luckygas db rejoin {node}"
        )
    if standby:
        return None
    if state.phase == FAILOVER:
        leader, role = state.candidate, "is to lead"
    else:
        leader, role = state.primary, "leads"
    if node == leader:
        return None
    return (
        f"{node} would start as a second primary: {leader or 'another instance'} {role}. "
        f"Make it a copy again: luckygas db rejoin {node}"
    )
