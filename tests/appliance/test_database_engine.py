"""The engine that carries the decisions out, on a real state file, killed before and after each of its steps."""

import pytest
from database_world import NAMES, carry_out, look, restored_world, start_world, thaw

from appliance.database import engine
from appliance.database.machine import Promote, Restart
from appliance.database.state import FAILOVER, STABLE, SWITCHOVER, NoStateError, State, Store
from appliance.output import RefusedError
from appliance.system import BusyError


class DiedError(BaseException):
    """The program was killed."""


class FakeWorld:
    """The model's instances behind the engine; dies at a given step, before or after it took effect."""

    def __init__(self, *, dies_at: int = 0, after: bool = False) -> None:
        self.world = start_world()
        self.dies_at, self.after, self.steps, self.clock = dies_at, after, 0, 1000.0
        self.ahead = 1e9  # how much the clock that people read differs
        self.done: list[object] = []

    def now(self) -> float:
        return self.clock + self.ahead

    def monotonic(self) -> float:
        self.clock += 0.01
        return self.clock

    def wait(self) -> None:
        self.clock += 1

    def look(self, fenced=()):  # noqa: ARG002 - the model may look at all
        return look(self.world)

    def hold_clients(self) -> None:
        self.step(lambda: None)

    def perform(self, action) -> None:
        def take_effect() -> None:
            self.done.append(action)
            self.world = carry_out(self.world, action)

        self.step(take_effect)

    def step(self, effect) -> None:
        self.steps += 1
        if self.steps == self.dies_at and not self.after:
            raise DiedError
        effect()
        if self.steps == self.dies_at:
            raise DiedError


class Tape(Store):
    """A store whose writes count as steps, too."""

    world: FakeWorld

    def save(self, state):
        self.world.step(lambda: Store.save(self, state))
        self.world.world = carry_out(self.world.world, engine.Save(state))
        return state


def make(tmp_path, **fault):
    """Return a store with the first state, and a world whose primary has just died."""
    world = FakeWorld(**fault)
    store = Tape(tmp_path)
    store.world = world
    Store.save(store, State(primary="a", quorum=True))
    world.world = world.world.put("a", running=False)
    return store, world


def leaders(world: FakeWorld) -> list[str]:
    """Return the running primaries."""
    return [name for name in NAMES if world.world.get(name).leads]


def test_a_dead_primary_is_replaced(tmp_path) -> None:
    store, world = make(tmp_path)
    state = engine.fail_over(store, world, "a", "test")
    assert (state.phase, state.epoch, list(state.fenced)) == (STABLE, 2, ["a"])
    assert leaders(world) == [state.primary] != ["a"]
    assert world.world.pool == state.primary
    assert state.last == {"from": "a", "to": state.primary, "at": state.since, "why": "test"}


def test_a_dead_primary_whose_others_are_all_fenced_is_started_again(tmp_path) -> None:
    """As in the two seconds after a standby was fenced in which commits still wait for it."""
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", quorum=True, fenced=dict.fromkeys(("b", "c"), "it is copied")))
    state = engine.fail_over(store, world, "a", "test")
    assert (state.phase, state.primary, sorted(state.fenced)) == (STABLE, "a", ["b", "c"])
    assert leaders(world) == ["a"]


def test_whoever_gives_up_the_last_one_is_told_how(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", fenced=dict.fromkeys(("b", "c"), "it is copied")))
    with pytest.raises(RefusedError, match="luckygas db init ANOTHER --overwrite --accept-loss"):
        engine.fail_over(store, world, "a", "test", accept_loss=True)
    assert store.load().phase == STABLE


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, 12))
def test_killed_at_any_step_it_is_finished_by_reconcile(tmp_path, dies_at, after) -> None:
    store, world = make(tmp_path, dies_at=dies_at, after=after)
    try:
        engine.fail_over(store, world, "a", "test")
    except DiedError:
        assert len(leaders(world)) <= 1
    world.dies_at = 0
    state = engine.reconcile(store, world)
    if state.primary == "a":  # it died before it had decided anything
        state = engine.fail_over(store, world, "a", "test")
    assert state.phase == STABLE
    assert leaders(world) == [state.primary] != ["a"]
    assert world.world.pool == state.primary
    assert state.epoch == 2


def test_one_that_answers_after_all_goes_on(tmp_path) -> None:
    store, world = make(tmp_path)
    world.world = start_world()
    assert engine.fail_over(store, world, "a", "test").primary == "a"
    assert world.done == []


def test_without_quorum_commit_the_same_one_is_started_again(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", quorum=False))
    world.world = world.world.put("a", hung=True, running=True)
    assert engine.fail_over(store, world, "a", "test").primary == "a"
    assert world.done == [Restart("a")]
    assert leaders(world) == ["a"]


def test_the_second_to_ask_changes_nothing(tmp_path) -> None:
    store, world = make(tmp_path)
    first = engine.fail_over(store, world, "a", "test")
    assert engine.fail_over(store, world, "a", "somebody else found it, too") == first


def test_one_at_a_time(tmp_path) -> None:
    store, world = make(tmp_path)
    with store.lock(), pytest.raises(BusyError, match="under way"):
        engine.reconcile(store, world, patience=0)


def test_the_one_that_holds_most_follows(tmp_path) -> None:
    store, world = make(tmp_path)
    world.world = world.world.put("b", log=(1,))
    assert engine.fail_over(store, world, "a", "test").primary == "b"


def test_one_that_hangs_is_waited_for_and_then_left_behind(tmp_path) -> None:
    store, world = make(tmp_path)
    world.world = world.world.put("c", hung=True)
    state = engine.fail_over(store, world, "a", "test")
    assert state.primary == "b"
    assert "c" in state.fenced


def make_restored(tmp_path, replays_for: float, **changes):
    """Return a store and a world whose only unfenced instance replays WAL for so long, and its end on the clock."""
    store, world = make(tmp_path)
    world.world = restored_world()
    Store.save(store, thaw(world.world.state))
    replayed_at = world.clock + replays_for

    def wait() -> None:
        world.clock += 1
        if world.clock > replayed_at:
            world.world = world.world.put("a", recovering=False)

    world.wait = wait
    world.world = world.world.put("a", **changes)
    return store, world


def test_the_only_one_that_may_lead_is_waited_for_while_it_replays(tmp_path) -> None:
    store, world = make_restored(tmp_path, engine.PATIENCE_SECONDS * 3)
    state = engine.reconcile(store, world)
    assert (state.phase, state.primary, list(state.fenced)) == (STABLE, "a", ["b", "c"])
    assert leaders(world) == ["a"] == [world.world.pool]


def test_one_that_replays_for_longer_than_a_run_is_waited_for_by_the_next(tmp_path) -> None:
    store, world = make_restored(tmp_path, engine.GIVE_UP_SECONDS * 1.5)
    with pytest.raises(RefusedError, match="did not end within 60 s"):
        engine.reconcile(store, world)
    assert engine.reconcile(store, world).phase == STABLE
    assert leaders(world) == ["a"]


def test_the_only_one_that_may_lead_is_not_fenced_when_it_hangs(tmp_path) -> None:
    store, world = make_restored(tmp_path, 0, hung=True)
    with pytest.raises(RefusedError, match="a is the only one that may lead, and does not answer"):
        engine.reconcile(store, world)
    world.world = world.world.put("a", hung=False)
    assert engine.reconcile(store, world).phase == STABLE


def test_one_that_was_chosen_and_is_lost_makes_way_for_one_that_was_down(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", phase=FAILOVER, candidate="c", fenced={"a": "test"}))
    world.world = world.world.put("b", running=False).put("c", hung=True)
    state = engine.reconcile(store, world)
    assert (state.primary, list(state.fenced)) == ("b", ["a", "c"])


@pytest.mark.parametrize("step", [-8 * 3600, 8 * 3600])
def test_a_clock_that_is_set_meanwhile_makes_nobody_wait_longer_or_shorter(tmp_path, step) -> None:
    store, world = make(tmp_path)
    world.world = world.world.put("c", hung=True)
    wait, began = world.wait, world.clock

    def set_clock() -> None:
        world.ahead, world.wait = world.ahead + step, wait

    world.wait = set_clock
    assert engine.fail_over(store, world, "a", "test").primary == "b"
    assert engine.PATIENCE_SECONDS < world.clock - began < 2 * engine.PATIENCE_SECONDS


def test_a_phase_that_began_in_the_future_ends_like_any_other(tmp_path) -> None:
    store, world = make(tmp_path)
    world.world = world.world.put("c", hung=True)
    since, began = world.now() + 8 * 3600, world.clock
    Store.save(store, State(primary="a", phase=FAILOVER, fenced={"a": "test"}, since=since))
    assert engine.reconcile(store, world).primary == "b"
    assert world.clock - began < 2 * engine.PATIENCE_SECONDS


def test_each_phase_has_a_patience_of_its_own(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", phase=SWITCHOVER, candidate="b", quorum=True))
    world.world = world.world.put("a", running=True, hung=True).put("c", log=(1,), recovering=True)
    began = world.clock

    def wait() -> None:
        world.clock += 1
        if world.clock - began > engine.PATIENCE_SECONDS * 1.5:
            world.world = world.world.put("c", recovering=False)

    world.wait = wait
    assert engine.reconcile(store, world).primary == "c"


def test_nobody_left_is_said(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", phase=FAILOVER, fenced=dict.fromkeys("abc", "test")))
    with pytest.raises(RefusedError, match="no instance is left"):
        engine.reconcile(store, world)


def test_an_interrupted_switchover_is_called_off(tmp_path) -> None:
    store, world = make(tmp_path)
    Store.save(store, State(primary="a", phase=SWITCHOVER, candidate="b", quorum=True))
    world.world = start_world()
    state = engine.reconcile(store, world)
    assert (state.phase, state.primary, state.candidate) == (STABLE, "a", None)
    assert not [action for action in world.done if isinstance(action, Promote)]


def test_a_state_that_cannot_be_read_is_said_with_the_way_out(tmp_path) -> None:
    store = Store(tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(NoStateError, match="luckygas db init --overwrite"):
        store.load()
