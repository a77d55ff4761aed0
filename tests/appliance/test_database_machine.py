"""Every order of events, and every point of interruption, of the program that decides who leads."""

import os
from collections import deque

import pytest
from database_world import NAMES, World, carry_out, look, program, restored_world, start_world, surroundings, thaw

from appliance.database import machine
from appliance.database.machine import Stuck
from appliance.database.state import FAILOVER, STABLE

FAULTS = int(os.environ.get("LUCKYGAS_MODEL_FAULTS", "1"))
IMPATIENT_FROM, REPLAYED_AT = 20, 30


def test_never_two_primaries_and_nothing_acknowledged_is_lost() -> None:
    """Search every world that up to FAULTS faults can lead to; 1 takes seconds, 2 two minutes."""
    came_from: dict[World, World | None] = {start_world(): None, restored_world(): None}
    border = deque(came_from)
    while border:
        world = border.popleft()
        try:
            check(world)
        except AssertionError as problem:
            pytest.fail(f"{problem}\n{story(world, came_from)}")
        for after in (*program(world), *surroundings(world, FAULTS)):
            if after not in came_from:
                came_from[after] = world
                border.append(after)
    print(f"{len(came_from)} worlds")
    assert len(came_from) > 1000


def story(world: World | None, came_from: dict[World, World | None]) -> str:
    """Return the shortest way to a world, for whoever has to understand it."""
    lines = []
    while world is not None:
        nodes = " ".join(
            f"{name}:{'P' if node.leads else 's' if node.running else '-'}{'!' * node.hung}{node.log}<{node.upstream}"
            for name, node in zip(NAMES, world.instances, strict=True)
        )
        steps = [type(step).__name__ if not isinstance(step, tuple) else step[0] for step in world.todo]
        lines.append(f"{world.state} {nodes} ack={sorted(world.acknowledged)} pool={world.pool} todo={steps}")
        world = came_from[world]
    return "\n".join(reversed(lines))


def check(world: World) -> None:
    """What has to hold in every world."""
    leaders = [name for name in NAMES if world.get(name).leads]
    assert len(leaders) <= 1, f"two primaries: {world}"
    state = thaw(world.state)
    if state.phase == STABLE and leaders == [state.primary] and not world.may_lose:
        assert world.acknowledged <= set(world.get(state.primary).log), f"lost: {world}"
    if not world.todo and (state.phase != STABLE or leaders != [state.primary] or world.get(state.primary).hung):
        check_that_it_ends(world)


def check_that_it_ends(world: World) -> None:
    """Whatever was interrupted: from here on undisturbed, somebody leads, or the program says that nobody is left."""
    first = thaw(world.state)
    # One that leads may be deposed on the way. Any other is fenced only where somebody is left to lead.
    deposed = () if first.phase == FAILOVER else (first.primary,)
    candidates = [name for name in NAMES if name not in (*first.fenced, *deposed)]
    for step in range(40):
        for name in NAMES if step == REPLAYED_AT else ():
            world = world.put(name, recovering=False)
        state = thaw(world.state)
        nodes = look(world)
        impatient = step > IMPATIENT_FROM
        actions = machine.next_actions(state, nodes, impatient=impatient) or machine.lost(state, nodes, "", now=0.0)
        if not actions:
            assert world.get(state.primary).leads
            assert world.pool == state.primary
            return
        for action in actions:
            world = carry_out(world, action)
    could_lead = [
        name for name in NAMES if (name in candidates or name not in state.fenced) and not world.get(name).hung
    ]
    assert isinstance(actions[-1], Stuck), f"no end: {world}"
    assert not could_lead, f"gave up although {could_lead} could lead: {world}"
