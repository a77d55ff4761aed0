"""The database under fault: one primary at all times, no acknowledged write lost, and how long clients wait."""

import os
import statistics
from dataclasses import dataclass
from functools import partial

import pytest
from database import Database, DatabaseLoad
from machine import wait_until

pytestmark = pytest.mark.alone

# Rounds of each fault; CI runs fewer than a release does.
KILLS = int(os.environ.get("LUCKYGAS_KILLS", "20"))
ROUNDS = int(os.environ.get("LUCKYGAS_ROUNDS", "5"))
FIGURES: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def figures():
    """Print what was measured, as a table, when all is done."""
    yield
    print(
        "\n"
        + "\n".join(
            [
                "| fault | rounds | median s | worst s | acknowledged | lost | failed |",
                "|---|---|---|---|---|---|---|",
                *FIGURES,
            ]
        )
    )


def note(fault: str, times: list[float], loads: list[DatabaseLoad]) -> None:
    """Add a line to the table."""
    acknowledged = sum(1 for load in loads for write in load.writes if write.port)
    lost = sum(len(load.lost()) for load in loads)
    failed = sum(len(load.failed()) for load in loads)
    middle, worst = statistics.median(times), max(times)
    FIGURES.append(f"| {fault} | {len(times)} | {middle:.2f} | {worst:.2f} | {acknowledged} | {lost} | {failed} |")


@dataclass(frozen=True)
class Clients:
    """How many write, and how often."""

    number: int = 4
    period: float = 0.05


def rounds(
    machine: Database, command: str, count: int, clients: Clients = Clients()
) -> tuple[list[float], list[DatabaseLoad]]:
    """Harm the primary, `count` times; each time wait until all is whole again."""
    times, loads = [], []
    for _ in range(count):
        machine.wait_until_whole()
        machine.wait_until_idle()
        old = machine.primary()
        port = machine.port(old)
        with DatabaseLoad(machine, clients.number, clients.period) as load:
            at = machine.hurt(command.format(data=f"/var/lib/postgresql/17/{old}"))
            wait_until(partial(load.went_elsewhere, at, port), "another one to take writes", 40)
            machine.wait_until_whole()
        assert machine.primary() != old
        assert not load.lost()
        times.append(load.outage(at, port))
        loads.append(load)
    return times, loads


KILL = "kill -9 $(head -1 {data}/postmaster.pid)"
FREEZE_ONE = "kill -STOP $(head -1 {data}/postmaster.pid)"
FREEZE_ALL = 'for p in /proc/[0-9]*; do [ "$(readlink $p/cwd)" = {data} ] && kill -STOP ${{p#/proc/}}; done; true'


def test_killed_primary(machine: Database) -> None:
    """The primary's server process dies."""
    times, loads = rounds(machine, KILL, KILLS)
    note("kill -9 of the postmaster, 4 clients", times, loads)
    assert statistics.median(times) <= 1.0
    assert max(times) <= 2.5


def test_killed_primary_under_heavy_load(machine: Database) -> None:
    """The same with twelve clients that never rest."""
    times, loads = rounds(machine, KILL, ROUNDS, Clients(12, 0))
    note("kill -9 of the postmaster, 12 heavy clients", times, loads)
    assert max(times) <= 2.5


def test_frozen_postmaster(machine: Database) -> None:
    """The server process hangs: nobody new gets in, those who are in go on."""
    times, loads = rounds(machine, FREEZE_ONE, ROUNDS)
    note("SIGSTOP of the postmaster", times, loads)
    assert max(times) <= 8


def test_frozen_instance(machine: Database) -> None:
    """Everything of the primary hangs, with clients in it."""
    times, loads = rounds(machine, FREEZE_ALL, ROUNDS)
    note("SIGSTOP of every process of the primary", times, loads)
    assert max(times) <= 8
