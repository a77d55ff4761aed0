"""A rejoin whose instance is elected while it waits: what leads is not touched."""

import itertools
from types import SimpleNamespace

import pytest

from appliance.database import pool, postgres, processes, registry, rejoin
from appliance.database.cluster import Cluster
from appliance.database.machine import Node
from appliance.database.settings import Instance
from appliance.database.state import State, Store
from appliance.output import RefusedError

PRIMARY = Node(processes=True, answers=True, primary=True)
STREAMS = Node(processes=True, answers=True, upstream="pg2", streams=True)


class Rejoin:
    """A rejoin of pg3 behind pg1, of which nothing is carried out, and where pg3 is elected meanwhile."""

    def __init__(self, monkeypatch, tmp_path) -> None:
        self.monkeypatch, self.done = monkeypatch, []
        self.store = Store(tmp_path)
        self.store.save(State(primary="pg1"))
        instances = {f"pg{number}": Instance(f"pg{number}", 5431 + number, number) for number in (1, 2, 3)}
        self.cluster = Cluster(SimpleNamespace(instances=instances))
        monkeypatch.setattr(rejoin, "STATE_DIRECTORY", tmp_path)
        self.stands_in(self.cluster, look_at=Node(), look={}, readers=[])
        self.stands_in(processes, fence=None, start=None)
        self.stands_in(postgres, ensure_slot=None, drop_foreign_slots=None)
        self.stands_in(pool, point=None)
        self.stands_in(registry, record=None)
        self.stands_in(rejoin, rewind=True, write_standby=None, copy=None, unit_failed=False)

    def stands_in(self, place: object, **answers: object) -> None:
        """Have functions do nothing but note that they were called."""
        for name, answer in answers.items():

            def note(*_: object, name: str = name, answer: object = answer, **__: object) -> object:
                self.done.append(name)
                return answer

            self.monkeypatch.setattr(place, name, note)

    def elects(self, place: object, name: str, answer: object, *, at: int = 1) -> None:
        """Have pg3 lead once a function is called that often."""
        calls = itertools.count(1)

        def elect(*_: object, **__: object) -> object:
            if next(calls) == at:
                self.done.clear()
                self.store.save(State(primary="pg3", epoch=2, fenced={"pg1": "it died"}))
            return answer

        self.monkeypatch.setattr(place, name, elect)

    def run(self) -> list[str]:
        """Return what was still done to the one that leads."""
        with pytest.raises(RefusedError, match="the primary changed while pg3 was made a copy of the former one"):
            rejoin.rejoin(self.store, self.cluster, "pg3")
        assert self.store.load().fenced == {"pg1": "it died"}
        return [one for one in self.done if one != "look_at"]


@pytest.fixture
def rejoining(monkeypatch, tmp_path) -> Rejoin:
    return Rejoin(monkeypatch, tmp_path)


def test_a_rejoin_ends_when_its_instance_is_elected_before_it_streams(monkeypatch, rejoining) -> None:
    monkeypatch.setattr(rejoin, "STREAM_PATIENCE_SECONDS", 1.0)
    rejoining.elects(rejoining.cluster, "look_at", PRIMARY, at=2)
    assert rejoining.run() == []


def test_an_instance_elected_while_its_rejoin_gives_up_is_not_fenced(monkeypatch, rejoining) -> None:
    monkeypatch.setattr(rejoin, "STREAM_PATIENCE_SECONDS", 0.0)
    rejoining.elects(processes, "start", None)
    assert rejoining.run() == []


def test_nothing_is_copied_from_one_that_leads_no_more(rejoining) -> None:
    rejoining.elects(rejoin, "rewind", answer=False)
    assert rejoining.run() == []


def test_clients_are_not_sent_back_by_a_rejoin_that_ends_after_an_election(rejoining) -> None:
    rejoining.elects(rejoining.cluster, "look_at", STREAMS, at=2)
    assert rejoining.run() == []
