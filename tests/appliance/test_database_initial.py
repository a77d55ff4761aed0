"""Who leads first: found on the machine, or asked for and safe."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.database import commands, initial, processes
from appliance.database.machine import Node
from appliance.database.state import FAILOVER, STABLE, Store
from appliance.output import RefusedError

NONE, SOME = Path("/nothing"), Path("/")
DISKS = {
    "-": SimpleNamespace(has_data=False, is_standby=False, rewinding=NONE),
    "s": SimpleNamespace(has_data=True, is_standby=True, rewinding=NONE),
    "p": SimpleNamespace(has_data=True, is_standby=False, rewinding=NONE),
    "r": SimpleNamespace(has_data=True, is_standby=False, rewinding=SOME),
}
DOWN, STANDBY = Node(), Node(processes=True, answers=True)
AHEAD = Node(processes=True, answers=True, position=900)
PRIMARY, HANGS = Node(processes=True, answers=True, primary=True), Node(processes=True)


def machine(disks: str, nodes: dict[str, Node]) -> tuple[dict, dict[str, Node]]:
    """Return three instances with such disks, and what one look at them shows.

    - none, s standby, p primary, r half rewound
    """
    instances = {f"pg{number}": DISKS[disk] for number, disk in enumerate(disks, 1)}
    return instances, dict.fromkeys(instances, DOWN) | nodes


@pytest.mark.parametrize(
    ("disks", "nodes", "leads"),
    [
        ("ppp", {}, "pg1"),  # a new machine
        ("---", {}, "pg1"),
        ("sps", {"pg1": STANDBY, "pg2": PRIMARY, "pg3": STANDBY}, "pg2"),
        ("sps", {"pg1": STANDBY, "pg2": HANGS, "pg3": STANDBY}, "pg2"),
        ("ssp", {}, "pg3"),
        ("spr", {}, "pg2"),
        ("psp", {"pg3": PRIMARY}, "pg3"),  # pg1 led before, and was not fenced any more
    ],
)
def test_the_one_that_leads_is_found(disks, nodes, leads) -> None:
    state = initial.first(*machine(disks, nodes), None, now=7.0)
    assert (state.primary, state.phase, state.candidate) == (leads, STABLE, None)
    assert set(state.fenced) == {"pg1", "pg2", "pg3"} - {leads}


@pytest.mark.parametrize(
    ("disks", "nodes", "told"),
    [
        ("pp-", {}, "pg1 holds the data of a primary, pg2 holds the data of a primary, pg3 has no data that is whole"),
        ("ss-", {}, "pg1 holds the data of a standby, pg2 holds the data of a standby, pg3 has no data that is whole"),
        ("ppp", {"pg1": PRIMARY, "pg2": PRIMARY}, "pg1 leads, pg2 leads, pg3 holds the data of a primary"),
    ],
)
def test_what_cannot_be_told_is_said(disks, nodes, told) -> None:
    with pytest.raises(RefusedError, match=f"{told}[.] .*luckygas db init INSTANCE --overwrite"):
        initial.first(*machine(disks, nodes), None, now=7.0)


@pytest.mark.parametrize(
    ("disks", "nodes", "why"),
    [
        ("psp", {"pg2": STANDBY, "pg3": PRIMARY}, "pg3 answers as primary: .*db init pg3 --overwrite"),
        ("sps", {"pg2": HANGS}, "pg2 holds the data of a primary, pg1 holds the data of a standby: pg2 is to lead"),
        ("sss", {"pg1": STANDBY, "pg3": AHEAD}, "pg3 has received more than pg1: pg3 is to lead"),
        ("sss", {"pg3": AHEAD}, "pg3 answers, other than pg1: pg3 is to lead"),
        ("-ss", {}, "pg2 holds the data of a standby, pg1 has no data that is whole: pg2 is to lead"),
    ],
)
def test_one_that_may_lack_what_another_holds_needs_a_further_word(disks, nodes, why) -> None:
    with pytest.raises(RefusedError, match=f"{why}.* db init pg1 --overwrite --accept-loss"):
        initial.first(*machine(disks, nodes), "pg1", now=7.0)
    assert initial.first(*machine(disks, nodes), "pg1", now=7.0, accept_loss=True).primary == "pg1"


def test_the_one_asked_for_leads_where_no_other_is_newer() -> None:
    assert initial.first(*machine("psp", {}), "pg1", now=7.0).phase == STABLE
    # It led, and is down: how much others received says nothing of it.
    assert initial.first(*machine("pss", {"pg2": STANDBY, "pg3": AHEAD}), "pg1", now=7.0).phase == STABLE


def test_a_standby_that_is_to_lead_is_promoted() -> None:
    state = initial.first(*machine("sss", {}), "pg2", now=7.0)
    assert (state.primary, state.phase, state.candidate, state.since) == ("pg2", FAILOVER, "pg2", 7.0)


@pytest.mark.parametrize("asked", ["17-pg2", "pg4", "pg1"])
def test_nothing_is_killed_and_nothing_written_when_it_is_refused(monkeypatch, tmp_path, asked) -> None:
    instances, nodes = machine("sps", {"pg2": PRIMARY})
    fenced = []
    monkeypatch.setattr(processes, "fence", fenced.append)
    arguments = SimpleNamespace(instance=asked, overwrite=True, accept_loss=False, json=True)
    cluster = SimpleNamespace(instances=instances, look=lambda *_: nodes, now=lambda: 7.0)
    with pytest.raises(RefusedError, match=f"there is no instance {asked}; there are pg1, pg2, pg3|pg2 answers"):
        commands.initialise(arguments, Store(tmp_path), cluster)
    assert not fenced
    assert not Store(tmp_path).file.exists()
