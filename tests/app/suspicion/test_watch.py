"""Several watches stand for several processes."""

import dataclasses
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from luckygas.audit.actor import Actor
from luckygas.audit.tables import AuditEntry
from luckygas.resources import Resources
from luckygas.suspicion import kernel, scores, standings
from luckygas.suspicion.scores import Offence, Scores
from luckygas.suspicion.standings import Level
from luckygas.suspicion.subjects import Trusted
from luckygas.suspicion.watch import Blocked, Challenged, Watch
from luckygas.volatile import Volatile
from outage import cut_off, reconnect
from waiting import eventually

INJECTION = Offence("injection", 10)
ACTOR = Actor("anonymous", origin="203.0.113.9", request_id="0123456789abcdef")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time go by: points fade and waits grow shorter while a busy machine takes its own."""
    now = time.time()
    for module in (scores, standings):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now, monotonic=lambda: now))


@pytest.fixture
def process(app: Flask, redis_url: str) -> Iterator[Callable[..., Watch]]:
    """Make watches of processes with connections of their own."""
    held: list[Volatile] = []

    def make(**changes: object) -> Watch:
        held.append(Volatile(Redis.from_url(redis_url, socket_timeout=5)))
        resources = Resources.of(app)
        settings = dataclasses.replace(resources.settings, **changes)
        return Watch(dataclasses.replace(resources, settings=settings, volatile=held[-1]))

    yield make
    with Redis.from_url(redis_url) as redis:
        redis.delete("lg:standings")
    for volatile in held:
        volatile.close()


@pytest.fixture
def kernel_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the end at which the kernel's part would listen."""
    monkeypatch.setattr(kernel, "SOCKET", tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(kernel.SOCKET))
        receiver.settimeout(60)
        yield receiver


def offend(watch: Watch, subject: str, times: int, offence: Offence = INJECTION) -> None:
    for _ in range(times):
        watch.note(subject, offence, actor=ACTOR)


def decisions(session: Session, subject: str) -> list[AuditEntry]:
    found = select(AuditEntry).where(AuditEntry.entity == "clients", AuditEntry.entity_id == subject)
    return list(session.scalars(found.order_by(AuditEntry.id)))


def test_points_lead_from_paying_more_over_waiting_to_being_blocked(
    process: Callable[..., Watch], subject: str
) -> None:
    watch = process()
    assert watch.admit(subject) == 1
    offend(watch, subject, 1)
    assert watch.admit(subject) == 4
    offend(watch, subject, 1)
    with pytest.raises(Challenged, match="send nothing for 30 seconds") as challenged:
        watch.admit(subject)
    assert challenged.value.headers == {"Retry-After": "30"}
    offend(watch, subject, 1)
    with pytest.raises(Blocked, match=r"admin@example\.tw can lift") as blocked:
        watch.admit(subject)
    assert blocked.value.headers == {"Retry-After": "900"}


def test_every_decision_is_told_once_and_explained(
    process: Callable[..., Watch], subject: str, session: Session
) -> None:
    one, other = process(), process()
    offend(one, subject, 5, Offence("unknown path", 1))
    for watch in (one, other, one, other):
        offend(watch, subject, 1)
    entries = decisions(session, subject)
    assert [entry.action for entry in entries] == ["client_slowed", "client_challenged", "client_blocked"]
    assert {(entry.actor, entry.origin, entry.request_id) for entry in entries} == {
        ("service:luckygas-web", ACTOR.origin, ACTOR.request_id)
    }
    assert entries[-1].changes["because"] == [None, "injection 30.0, unknown path 5.0"]
    assert entries[-1].changes["score"] == [None, 35.0]
    assert entries[-1].changes["seconds"] == [None, 900]


def test_other_processes_follow_when_they_look_and_look_when_they_hold_something_against_it(
    process: Callable[..., Watch], subject: str
) -> None:
    one, other, third = process(), process(), process()
    offend(one, subject, 3)
    assert other.admit(subject) == 1
    other.standings.refresh()
    with pytest.raises(Blocked):
        other.admit(subject)
    offend(third, subject, 1, Offence("limit", 1))
    with pytest.raises(Blocked):
        third.admit(subject)


def test_a_process_looks_by_itself(process: Callable[..., Watch], subject: str) -> None:
    one, other = process(), process()
    other.standings.keep_refreshing()
    offend(one, subject, 3)
    found = eventually(lambda: other.standings.of(subject), "the look of the other process")
    assert found.level is Level.BLOCKED


def test_points_halve_with_time(
    process: Callable[..., Watch], subject: str, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(scores, "time", SimpleNamespace(time=lambda: now, monotonic=lambda: now))
    held = Scores(process().standings._volatile)  # noqa: SLF001
    for adding in (held.add, held._add_alone):  # noqa: SLF001
        now = 1_000_000.0
        adding(subject, INJECTION)
        now += scores.HALF_LIFE_SECONDS
        assert adding(subject, Offence("limit", 1)).points == {"injection": 5.0, "limit": 1.0}
        now += scores.HALF_LIFE_SECONDS * 2
        assert adding(subject, INJECTION).points == {"injection": 11.25, "limit": 0.25}
    with Redis.from_url(redis_url) as redis:
        assert 0 < redis.ttl(f"lg:score:{subject}") <= scores.REMEMBERED_SECONDS


def test_what_comes_in_bursts_counts_once_in_all_processes(process: Callable[..., Watch], subject: str) -> None:
    limit = Offence("limit", 1, burst_seconds=10)
    one, other = (Scores(process().standings._volatile) for _ in range(2))  # noqa: SLF001
    assert one.add(subject, limit).score == 1
    assert one.add(subject, limit) is None
    assert other.add(subject, limit).score == pytest.approx(1, abs=0.01)


def test_the_second_block_is_twice_as_long(process: Callable[..., Watch], subject: str, session: Session) -> None:
    watch = process()
    offend(watch, subject, 3)
    watch.standings.lift(subject)
    offend(watch, subject, 1)
    assert [entry.changes["seconds"][1] for entry in decisions(session, subject)] == [300, 30, 900, 1800]


def test_nothing_is_held_against_the_trusted(process: Callable[..., Watch], subject: str) -> None:
    offend(process(), subject, 3)
    watch = process(trusted_clients=Trusted.parse(f"192.0.2.0/24 {subject}"))
    watch.standings.refresh()
    assert watch.admit(subject) == 1
    offend(watch, "address:192.0.2.1", 5)
    assert watch.standings.of("address:192.0.2.1") is None


def test_without_redis_each_process_decides_and_tells_the_others_later(
    process: Callable[..., Watch], subject: str, session: Session
) -> None:
    one, other = process(), process()
    known = f"key:{secrets.token_hex(4)}"
    offend(one, known, 3)
    cut_off(one.standings)
    assert not one.standings.refresh()
    offend(one, subject, 3)
    for blocked in (known, subject):
        with pytest.raises(Blocked):
            one.admit(blocked)
    other.standings.refresh()
    assert other.admit(subject) == 1
    reconnect(one.standings)
    assert one.standings.refresh()
    other.standings.refresh()
    with pytest.raises(Blocked):
        other.admit(subject)
    assert [entry.action for entry in decisions(session, subject)][-1] == "client_blocked"


def test_the_kernel_is_told_of_blocked_addresses_and_of_nothing_else(
    process: Callable[..., Watch], subject: str, kernel_socket: socket.socket, session: Session
) -> None:
    watch = process()
    offend(watch, subject, 3)
    offend(watch, "address:203.0.113.9", 3)
    assert json.loads(kernel_socket.recv(4096)) == {
        "address": "203.0.113.9",
        "seconds": 900,
        "reason": "injection 30.0",
    }
    assert watch.lift(session, "address:203.0.113.9", reason="a mistake")
    assert json.loads(kernel_socket.recv(4096)) == {"address": "203.0.113.9", "seconds": 0, "reason": "a mistake"}
    assert watch.admit("address:203.0.113.9") == 1


def test_of_a_network_the_kernel_is_told_an_address(kernel_socket: socket.socket) -> None:
    assert kernel.tell("2001:db8:1:2::/64", seconds=1, reason="")
    assert json.loads(kernel_socket.recv(4096))["address"] == "2001:db8:1:2::"


def test_a_kernel_that_does_not_listen_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel_socket: socket.socket
) -> None:
    # What it does not read fills its queue.
    assert not all(kernel.tell("203.0.113.9", seconds=1, reason="") for _ in range(100_000))
    monkeypatch.setattr(kernel, "SOCKET", tmp_path / "none")
    assert not kernel.tell("203.0.113.9", seconds=1, reason="")
