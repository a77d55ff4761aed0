"""The first state: who leads where there is no state, or none that can be read. The machine alone is asked."""

from collections.abc import Mapping

from appliance.database.machine import Nodes
from appliance.database.settings import Instance
from appliance.database.state import FAILOVER, STABLE, State
from appliance.output import RefusedError

Instances = Mapping[str, Instance]
NO_DATA, A_STANDBY, A_PRIMARY = range(3)
DISKS = ("has no data that is whole", "holds the data of a standby", "holds the data of a primary")


def disk(instance: Instance) -> int:
    """Return what an instance would come up as; more is newer, where one of them led."""
    if not instance.has_data or instance.rewinding.exists():
        return NO_DATA
    return A_STANDBY if instance.is_standby else A_PRIMARY


def found(instances: Instances, nodes: Nodes) -> str:
    """Return the one that leads, or did when all were up; on a new machine, where all are alike, the first."""
    disks = {name: disk(instance) for name, instance in instances.items()}
    leaders = [name for name in instances if nodes[name].primary]
    likely = leaders or [name for name in instances if disks[name] == A_PRIMARY]
    if len(likely) == 1:
        return likely[0]
    if not leaders and set(disks.values()) in ({NO_DATA}, {A_PRIMARY}):
        return next(iter(instances))
    told = ", ".join(f"{name} {'leads' if nodes[name].primary else DISKS[disks[name]]}" for name in instances)
    message = (
        f"who leads cannot be told: {told}. Take the one with the newest data (of those that run, by "
        f"SELECT pg_last_wal_receive_lsn(); else by what pg_controldata shows): luckygas db init INSTANCE --overwrite"
    )
    raise RefusedError(message)


def are_standbys(*instances: Instance) -> bool:
    """Tell whether all hold data of the same kind, so that how much they received decides."""
    return all(disk(instance) == A_STANDBY for instance in instances)


def refuse_unless_safe(instances: Instances, nodes: Nodes, name: str) -> None:
    """Refuse when another one is likelier to hold what was written last: it would be killed, and copied over."""
    for other in instances:
        if other == name:
            continue
        if nodes[other].primary:
            why = f"{other} answers as primary"
        elif disk(instances[other]) > disk(instances[name]):
            why = f"{other} {DISKS[disk(instances[other])]}, {name} {DISKS[disk(instances[name])]}"
        elif are_standbys(instances[name], instances[other]) and nodes[other].position > nodes[name].position:
            why = f"{other} {'has received more than' if nodes[name].answers else 'answers, other than'} {name}"
        else:
            continue
        message = (
            f"{why}: {other} is to lead: luckygas db init {other} --overwrite. "
            f"To lose what {other} alone holds: luckygas db init {name} --overwrite --accept-loss"
        )
        raise RefusedError(message)


def first(instances: Instances, nodes: Nodes, asked: str | None, *, now: float, accept_loss: bool = False) -> State:
    """Return the state in which the one asked for, or found, leads; the others wait to be copied from it."""
    if asked and asked not in instances:
        message = f"there is no instance {asked}; there are {', '.join(instances)}"
        raise RefusedError(message)
    name = asked or found(instances, nodes)
    if asked and not accept_loss:
        refuse_unless_safe(instances, nodes, asked)
    # One that is a standby comes up as such: it is promoted by what does so at the end of a failover.
    phase, candidate = (FAILOVER, name) if instances[name].is_standby else (STABLE, None)
    fenced = {other: "not yet copied from the primary" for other in instances if other != name}
    return State(primary=name, phase=phase, candidate=candidate, fenced=fenced, since=now, reason="the first state")
