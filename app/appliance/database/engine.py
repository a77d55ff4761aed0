"""Carries the state machine's answers out, with the lock held, until it has no more. Knows no PostgreSQL."""

from collections.abc import Container
from typing import Protocol

from appliance.database import machine
from appliance.database.machine import Action, Nodes, Save, Stuck, Wait
from appliance.database.state import STABLE, State, Store
from appliance.output import RefusedError
from appliance.system import log

# A phase that lasts longer goes on without the instance that it waits for.
PATIENCE_SECONDS = 6.0
# And one that lasts this much longer is given back, so that a later run (the supervisor's) tries again.
GIVE_UP_SECONDS = 60.0


class World(Protocol):
    """What the engine needs of the machine; tests bring their own."""

    def now(self) -> float: ...  # noqa: D102
    def monotonic(self) -> float: ...  # noqa: D102
    def wait(self) -> None: ...  # noqa: D102
    def look(self, fenced: Container[str] = ()) -> Nodes: ...  # noqa: D102
    def hold_clients(self) -> None: ...  # noqa: D102
    def perform(self, action: Action) -> None: ...  # noqa: D102


def advance(store: Store, world: World, *, held: bool = False) -> State:
    """Go forward from whatever phase until the state is stable. The caller has the lock, and perhaps `held` clients."""
    began = since = world.monotonic()
    state = store.load()
    if state.phase != STABLE and not held:
        world.hold_clients()
    while actions := machine.next_actions(
        state,
        world.look(state.fenced),
        impatient=world.monotonic() - since > PATIENCE_SECONDS,
        now=world.now(),
    ):
        for action in actions:
            carry_out(store, world, action)
        before, state = state, store.load()
        if (state.phase, state.candidate) != (before.phase, before.candidate):
            since = world.monotonic()
        if world.monotonic() - began > GIVE_UP_SECONDS:
            message = f"phase {state.phase} did not end within {GIVE_UP_SECONDS:g} s, last step: {actions[-1]}"
            raise RefusedError(message)
    return state


def carry_out(store: Store, world: World, action: Action) -> None:
    """Carry out one action."""
    match action:
        case Save(state):
            log(
                f"state: phase {state.phase}, primary {state.primary}, candidate {state.candidate}, "
                f"epoch {state.epoch}, fenced {list(state.fenced)}"
            )
            store.save(state)
        case Wait():
            world.wait()
        case Stuck(why):
            raise RefusedError(why)
        case _:
            world.perform(action)


def fail_over(  # noqa: PLR0913 - two switches, each said by name
    store: Store,
    world: World,
    suspect: str,
    why: str,
    *,
    accept_loss: bool = False,
    although_it_answers: bool = False,
) -> State:
    """Replace a primary that is held to be lost; nothing happens when somebody was faster, or when it answers."""
    with store.lock():
        state = store.load()
        if state.primary == suspect:
            nodes = {} if although_it_answers else world.look()
            for action in machine.lost(state, nodes, why, now=world.now(), accept_loss=accept_loss):
                carry_out(store, world, action)
        return advance(store, world)


def reconcile(store: Store, world: World, patience: float = 30.0) -> State:
    """Finish what was interrupted."""
    with store.lock(patience):
        return advance(store, world)
