"""Redis under fault: how long writes fail, that no acknowledged one is lost, and that all is whole again by itself."""

import os
from functools import partial

import pytest
from machine import wait_until
from redis_pair import PORTS, Pair, RedisLoad

pytestmark = pytest.mark.alone

# Rounds of each fault; CI runs fewer than a release does.
KILLS = int(os.environ.get("LUCKYGAS_REDIS_KILLS", "10"))
ROUNDS = int(os.environ.get("LUCKYGAS_REDIS_ROUNDS", "5"))


@pytest.fixture(scope="module")
def pair(appliance) -> Pair:
    pair = Pair(appliance)
    pair.wait_until_whole()
    return pair


def note(fault: str, times: list[float], loads: list[RedisLoad]) -> None:
    acknowledged = sum(1 for load in loads for write in load.writes if write.port)
    middle, worst = sorted(times)[len(times) // 2], max(times)
    print(
        f"\n| {fault} | {len(times)} rounds | median {middle:.2f} s | worst {worst:.2f} s | {acknowledged} acknowledged"
    )


def test_a_master_that_stays_away_is_replaced(pair):
    times, loads = [], []
    for _ in range(KILLS):
        pair.wait_until_whole()
        old = pair.master()
        unit = f"redis-server@{old}.service"
        pair.hold(unit)
        with RedisLoad(pair) as load:
            try:
                at = pair.machine.hurt(f"kill -9 {pair.pid(unit)}")
                wait_until(partial(load.writes_again, at), "writes elsewhere", 40)
            finally:
                pair.release(unit)
            # It comes back as a replica from its first answer on.
            assert "role:slave" in pair.cli(PORTS[old], "INFO replication")
        assert pair.master() != old
        assert not load.lost()
        times.append(load.longest_pause())
        loads.append(load)
    note("kill -9, restart held off", times, loads)
    assert max(times) <= 6.5


def test_a_master_that_hangs_is_replaced(pair):
    times, loads = [], []
    for _ in range(KILLS):
        pair.wait_until_whole()
        old = pair.master()
        pid = pair.pid(f"redis-server@{old}.service")
        with RedisLoad(pair) as load:
            try:
                at = pair.machine.hurt(f"kill -STOP {pid}")
                wait_until(partial(load.writes_again, at), "writes elsewhere", 40)
            finally:
                pair.run(f"kill -CONT {pid}")
            pair.wait_until_whole()
        assert pair.master() != old
        assert not load.lost()
        times.append(load.longest_pause())
        loads.append(load)
    note("SIGSTOP", times, loads)
    assert max(times) <= 7


def test_a_master_that_crashes_is_back_before_it_would_be_replaced(pair):
    times, loads = [], []
    for _ in range(ROUNDS):
        pair.wait_until_whole()
        old = pair.master()
        with RedisLoad(pair) as load:
            at = pair.machine.hurt(f"kill -9 {pair.pid(f'redis-server@{old}.service')}")
            wait_until(partial(load.writes_again, at), "writes again", 40)
        assert pair.master() == old
        times.append(load.longest_pause())
        loads.append(load)
    note("crash", times, loads)
    assert max(times) <= 1.5


def test_a_switchover_loses_nothing(pair):
    times, loads = [], []
    for _ in range(ROUNDS):
        pair.wait_until_whole()
        old = pair.master()
        with RedisLoad(pair) as load:
            at = pair.machine.hurt("luckygas redis switchover")
            wait_until(partial(load.writes_again, at), "writes elsewhere", 40)
        assert pair.master() != old
        assert not load.lost()
        times.append(load.longest_pause())
        loads.append(load)
    note("switchover", times, loads)


def test_a_rolling_restart_loses_nothing(pair):
    pair.wait_until_whole()
    pair.run("touch /etc/systemd/system/redis-server@.service.d/60-luckygas.conf")
    assert [node["restart_pending"] for node in pair.status()["nodes"]] == [True, True]
    with RedisLoad(pair) as load:
        pair.run("luckygas redis rolling-restart --if-pending")
    assert not load.lost()
    assert [node["restart_pending"] for node in pair.status()["nodes"]] == [False, False]


@pytest.mark.parametrize("dead", [1, 2])
def test_writes_go_on_without_some_sentinels(pair, dead):
    units = " ".join(f"redis-sentinel@{number}" for number in range(1, dead + 1))
    with RedisLoad(pair) as load:
        at = pair.machine.hurt(f"systemctl stop {units}")
        try:
            wait_until(partial(load.writes_again, at), "writes", 60)
            told = pair.status()
        finally:
            pair.run(f"systemctl start {units}")
    assert [write for write in load.writes if write.error] == []
    assert [one["answers"] for one in told["sentinels"]] == [False] * dead + [True] * (3 - dead)
    assert told["problems"]


@pytest.mark.long
def test_a_changed_password_rolls_through_without_a_refused_request(pair, appliance):
    pair.wait_until_whole()
    secrets = appliance.secrets_place
    former = (secrets / "redis_password").read_text().split()[0]
    for name in ("redis_password", "redis_replica_password", "redis_sentinel_password", "redis_admin_password"):
        (secrets / name).unlink()
    with RedisLoad(pair) as load:
        play = appliance.playbook("site.yml")
    assert play.status == 0, play.output
    assert load.refused() == []
    assert not load.lost()
    login = f"redis-cli -p 6379 --no-auth-warning --user luckygas_app --pass {former} PING"
    assert "WRONGPASS" in appliance.run(f"{login} 2>&1")
    assert appliance.health() == "ok"
    pair.run("luckygas redis switchover")
    pair.wait_until_whole()


@pytest.mark.parametrize(
    ("harm", "starts"),
    [
        ("truncate -s -3 $(ls appendonlydir/*.incr.aof | tail -1)", True),
        ("printf XXXXXXXXXXXX | dd of=$(ls appendonlydir/*.base.rdb) conv=notrunc status=none", False),
    ],
    ids=["a cut tail", "a bad snapshot"],
)
def test_damaged_data_is_read_or_mended_with_one_command(pair, harm, starts):
    pair.wait_until_whole()
    name = next(node["name"] for node in pair.status()["nodes"] if node["role"] == "replica")
    pair.run(f"systemctl stop redis-server@{name}; cd /var/lib/redis/{name}; {harm}; systemctl start --no-block"
             f" redis-server@{name}")  # fmt: skip
    if not starts:
        hint = f"luckygas redis rejoin {name}"
        try:
            wait_until(lambda: any(hint in problem for problem in pair.status()["problems"]), "the way out", 60)
        finally:
            pair.run(hint)
    pair.wait_until_whole()
