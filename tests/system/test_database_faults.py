"""Everything else that can happen to the database. After each: one primary, three instances, nothing lost."""

import json
from functools import partial

import pytest
from database import Database, DatabaseLoad
from machine import wait_until
from test_backup import backups
from test_database import ROUNDS

SUPERVISOR = "luckygas-database-supervisor.service"
# What acts beside repmgrd; the service, too, since the timer may just have begun it.
GUARDIANS = f"{SUPERVISOR} luckygas-database-reconcile.timer luckygas-database-reconcile.service"
MASKED = " ".join(f"postgresql@17-{name} luckygas-database-rejoin@{name}" for name in ("pg1", "pg2", "pg3"))
STATE = "/var/lib/luckygas/database/state.json"
FREEZE_ALL = 'for p in /proc/[0-9]*; do [ "$(readlink $p/cwd)" = {data} ] && kill -STOP ${{p#/proc/}}; done; true'


@pytest.fixture(autouse=True)
def whole(machine: Database):
    """Begin and end with a whole database."""
    machine.wait_until_whole()
    yield
    machine.run(f"systemctl unmask --quiet --runtime {MASKED}")
    machine.run(
        f"systemctl start {SUPERVISOR} 'repmgrd@pg1' 'repmgrd@pg2' 'repmgrd@pg3' luckygas-database-reconcile.timer"
    )
    machine.wait_until_whole(120)


def data(instance: str) -> str:
    """Return an instance's data directory."""
    return f"/var/lib/postgresql/17/{instance}"


def writes_elsewhere(machine: Database, load: DatabaseLoad, old: str, seconds: float = 40) -> None:
    """Wait until another instance acknowledges writes."""
    port = machine.port(old)
    at = float(machine.run("date +%s.%N"))
    wait_until(partial(load.went_elsewhere, at, port), "another one to take writes", seconds)


def test_stopped_by_hand(machine: Database) -> None:
    """Somebody stops the primary's unit, and then wants to start it again."""
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        at = machine.hurt(f"systemctl stop postgresql@17-{old}")
        writes_elsewhere(machine, load, old)
        machine.wait_until_whole()
    print(
        f"\nsystemctl stop of the primary: writes after {load.outage(at, machine.port(old)):.2f} s,"
        f" failed {len(load.failed())}"
    )
    assert machine.primary() != old
    assert not load.lost()


def test_a_fenced_instance_cannot_be_started(machine: Database) -> None:
    """The guard stands before every start, and says why."""
    old = machine.primary()
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'")
    machine.run(f"systemctl mask --runtime luckygas-database-rejoin@{old}")  # which would end its being fenced
    try:
        machine.run(f"kill -9 $(head -1 {data(old)}/postmaster.pid); luckygas db failover")
        assert machine.status()["primary"] != old
        assert f"{old} is fenced" in machine.run(f"luckygas db guard 17-{old}; true")
        assert machine.run(f"systemctl start postgresql@17-{old} 2>/dev/null; echo $?") == "1"
        assert [node["role"] for node in machine.status()["nodes"]].count("primary") == 1
        assert machine.run(f"systemctl is-active postgresql@17-{old}; true") != "active"
    finally:
        machine.run(f"systemctl unmask --runtime luckygas-database-rejoin@{old}")


def test_stopped_while_it_starts(machine: Database) -> None:
    """systemd then sends a signal instead of asking pg_ctl; clients that come in meanwhile do not hold it up."""
    standby = machine.standbys()[0]
    unit, log = f"postgresql@17-{standby}", f"/var/log/postgresql/postgresql-17-{standby}.log"
    machine.run(f"systemctl stop {GUARDIANS} {unit}; systemctl reset-failed {unit}")
    answers = f"psql -XAtq -h /run/postgresql -p {machine.port(standby)} -U postgres -c SELECT"
    machine.run(
        f"systemctl start --no-block {unit}; timeout 60 sh -c 'until {answers} >/dev/null 2>&1; do :; done'", timeout=90
    )
    machine.run(f"systemctl stop {unit}", timeout=90)
    assert "fast shutdown" in machine.run(f"grep 'received .* shutdown request' {log} | tail -1")


def test_killed_while_it_starts(machine: Database) -> None:
    """Of a start whose processes are killed nothing is left that the next one would wait for."""
    unit = f"postgresql@17-{machine.standbys()[0]}"
    group = f"/sys/fs/cgroup/system.slice/system-postgresql.slice/{unit}.service/cgroup.procs"
    for _ in range(ROUNDS):
        # In one call: pg_ctlcluster is there for a second or two.
        machine.run(
            f"systemctl stop {unit}; systemctl start --no-block {unit};"
            " timeout 60 sh -c 'until grep -qs pg_ctlcluster /proc/*/comm; do :; done'",
            timeout=120,
        )
        machine.run(f"while grep -qs . {group}; do kill -9 $(cat {group}); done 2>/dev/null; true", timeout=90)
        machine.wait_until_whole()


def test_promoted_behind_our_back(machine: Database) -> None:
    """Somebody promotes a standby by hand: it is taken out before it matters, and made a copy again."""
    leader = machine.primary()
    rogue = machine.standbys()[0]
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.sql(rogue, "SELECT pg_promote()", check=False)
        wait_until(
            lambda: any(
                node["name"] == rogue and (node["fenced"] or node["role"] == "standby")
                for node in machine.status()["nodes"]
            ),
            "it to be taken out",
        )
        machine.wait_until_whole()
    assert machine.primary() == leader
    assert not load.lost()


def test_one_that_was_promoted_by_hand_archives_nothing(machine: Database) -> None:
    """However long it leads: its timeline's number is the next failover's, and stays free for that."""
    rogue = machine.standbys()[0]
    counts = "SELECT archived_count, failed_count FROM pg_stat_archiver"
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'")
    machine.sql(rogue, "SELECT pg_stat_reset_shared('archiver'), pg_promote()")
    wait_until(lambda: machine.sql(rogue, counts) not in ("", "0|0"), "it to try to archive")
    assert machine.sql(rogue, counts).startswith("0|")
    machine.run(f"systemctl start {SUPERVISOR}")
    machine.wait_until_whole()
    machine.run("luckygas db switchover")
    machine.on_primary("SELECT pg_switch_wal()")

    def is_archived() -> bool:
        archive = backups(machine)["archive"]
        return not archive["missing"] and not archive["waiting_segments"]

    wait_until(is_archived, "all to be archived", 150)


@pytest.mark.alone
def test_both_replicas_killed(machine: Database) -> None:
    """Writes go on within five seconds, and wait for a standby again once one is back."""
    leader = machine.primary()
    replicas = machine.standbys()
    # Their repair is kept away, so that the fall-back itself is what is seen.
    for replica in replicas:
        machine.run(f"systemctl mask --runtime postgresql@17-{replica}")
    with DatabaseLoad(machine, 4, 0.05) as load:
        at = machine.hurt("; ".join(f"kill -9 $(head -1 {data(one)}/postmaster.pid)" for one in replicas))
        wait_until(lambda: not machine.status()["quorum_commit"], "commits not to wait any more", 20)
        wait_until(lambda: any(write.began > at + 3 for write in load.acknowledged()), "writes to go on", 20)
        machine.run("systemctl unmask --runtime " + " ".join(f"postgresql@17-{one}" for one in replicas))
        machine.wait_until_whole()
    pause = load.longest_pause()
    print(f"\nboth replicas killed: longest pause {pause:.2f} s, failed {len(load.failed())}")
    assert machine.primary() == leader
    assert pause <= 5
    assert not load.lost()


def test_killed_while_no_standby_streams(machine: Database) -> None:
    """Acknowledged writes lie on the primary alone: nobody else may lead, so the same one is started again."""
    leader = machine.primary()
    replicas = [f"postgresql@17-{name}" for name in machine.standbys()]
    machine.run(f"systemctl mask --runtime {' '.join(replicas)}; systemctl stop {' '.join(replicas)}")
    wait_until(lambda: not machine.status()["quorum_commit"], "commits not to wait any more", 20)
    with DatabaseLoad(machine, 4, 0.05) as load:
        at = machine.hurt(f"kill -9 $(head -1 {data(leader)}/postmaster.pid)")
        wait_until(lambda: any(write.began > at for write in load.acknowledged()), "it to take writes again", 40)
        machine.run(f"systemctl unmask --runtime {' '.join(replicas)}")
        machine.wait_until_whole()
    print(f"\nkilled without a standby: the same one writes again, longest pause {load.longest_pause():.2f} s")
    assert machine.primary() == leader
    assert not load.lost()


def test_the_only_one_that_may_lead_is_not_given_up(machine: Database) -> None:
    """As a restore that was killed leaves it, and it takes long to start: here, until it is allowed to."""
    leader = machine.primary()
    state = json.loads(machine.run(f"cat {STATE}"))
    fenced = dict.fromkeys(machine.standbys(), "its data is of before the restore")
    state |= {"phase": "failover", "candidate": leader, "quorum": False, "fenced": fenced}
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'; systemctl mask --runtime {MASKED}")
    machine.run(f"kill -9 $(head -1 {data(leader)}/postmaster.pid); cat >{STATE}", stdin=json.dumps(state))
    said = machine.run("luckygas db reconcile; true")
    assert f"{leader} is the only one that may lead, and does not answer" in said
    assert list(json.loads(machine.run(f"cat {STATE}"))["fenced"]) == list(fenced)
    machine.run(f"systemctl unmask --runtime {MASKED}")
    assert f"{leader} leads" in machine.run("luckygas db reconcile")


def test_the_state_is_lost(machine: Database) -> None:
    """Whoever leads is found and goes on, and no slip of the pen stops it."""
    if machine.primary() == "pg1":
        machine.run("luckygas db switchover")
        machine.wait_until_whole()
    leader = machine.primary()
    server = f"head -1 {data(leader)}/postmaster.pid"
    before = machine.run(server)
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'; rm {STATE}")
    assert "there is no instance 17-pg1; there are pg1, pg2, pg3" in machine.run("luckygas db init 17-pg1; true")
    assert f"{leader} answers as primary" in machine.run("luckygas db init pg1; true")
    assert machine.run("luckygas db init") == f"{leader} leads."
    machine.run(f"systemctl start {SUPERVISOR}")
    machine.wait_until_whole()
    assert (machine.primary(), machine.run(server)) == (leader, before)


def test_data_directory_removed(machine: Database) -> None:
    """The primary's files are gone under it."""
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        # Once more: the server may have put a file into a directory that was just emptied. What it then still puts
        # there, or whoever makes it a copy already, is no matter.
        at = machine.hurt(f"rm -rf {data(old)} || rm -rf {data(old)}; true")
        writes_elsewhere(machine, load, old)
        machine.wait_until_whole(180)
    print(f"\ndata directory removed: writes elsewhere after {load.outage(at, machine.port(old)):.2f} s")
    assert machine.primary() != old
    assert not load.lost()


def test_the_data_directory_of_a_standby_removed(machine: Database) -> None:
    """It would start as nothing any more: it is made a copy of the primary again, and nobody types anything."""
    leader, lost = machine.primary(), machine.standbys()[0]
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run(f"rm -rf {data(lost)} || rm -rf {data(lost)}; true")
        wait_until(lambda: not machine.is_whole(), "it to be noticed", 120)
        took = machine.wait_until_whole()
    print(f"\ndata directory of a standby removed: it streams again {took:.0f} s after it was noticed")
    assert machine.primary() == leader
    assert not load.failed()
    assert not load.lost()


@pytest.mark.alone
def test_frozen_with_repmgrd_restarted(machine: Database) -> None:
    """repmgrd cannot start while its upstream hangs; and the frozen one wakes up later."""
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        at = machine.hurt(FREEZE_ALL.format(data=data(old)) + "; systemctl restart 'repmgrd@*'")
        writes_elsewhere(machine, load, old)
        machine.run(
            f'for p in /proc/[0-9]*; do [ "$(readlink $p/cwd)" = {data(old)} ] && kill -CONT ${{p#/proc/}}; done; true'
        )
        assert [node["role"] for node in machine.status()["nodes"]].count("primary") == 1
        machine.wait_until_whole()
    took = load.outage(at, machine.port(old))
    print(f"\nfrozen, repmgrd restarted: {took:.2f} s")
    assert took <= 8
    assert not load.lost()


def test_repmgrd_alone(machine: Database) -> None:
    """The supervisor is down: repmgrd decides."""
    machine.run(f"systemctl stop {GUARDIANS}")
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        at = machine.hurt(f"kill -9 $(head -1 {data(old)}/postmaster.pid)")
        writes_elsewhere(machine, load, old)
        machine.run(f"systemctl start {SUPERVISOR}")
        machine.wait_until_whole()
    print(f"\nrepmgrd alone, kill -9: {load.outage(at, machine.port(old)):.2f} s")
    assert not load.lost()


def test_repmgrd_killed_in_the_middle_of_a_promotion(machine: Database) -> None:
    """repmgrd and what it has begun die; the timer's reconcile finishes it."""
    machine.run(f"systemctl stop {GUARDIANS}")
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run(f"kill -9 $(head -1 {data(old)}/postmaster.pid)")
        wait_until(
            lambda: machine.status()["phase"] == "failover" or machine.primary() not in (None, old),
            "repmgrd to begin",
            20,
        )
        machine.run("systemctl kill -s KILL --kill-whom=all 'repmgrd@*'")
        machine.run("luckygas db reconcile")
        writes_elsewhere(machine, load, old)
        machine.run(f"systemctl start {SUPERVISOR}")
        machine.wait_until_whole()
    assert not load.lost()


# The program's steps towards the outside: a file that is replaced, a command that is run (which takes three pipes).
STEPS = [("rename", number) for number in range(1, 5)] + [
    pytest.param("pipe2", 2 + 3 * number, marks=[] if number % 4 == 0 else pytest.mark.long) for number in range(9)
]


def fail_over_until(machine: Database, call: str, number: int) -> str:
    """Begin a failover that dies before one of its steps; return its exit code."""
    kill = f"strace -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={number}"
    return machine.run(f"{kill} luckygas db failover >/dev/null 2>&1; echo $?")


@pytest.fixture
def strace(machine: Database) -> None:
    """Have what kills a program before one of its steps."""
    machine.run("command -v strace || apt-get install -qq --no-install-recommends strace")


@pytest.mark.parametrize(("call", "number"), STEPS)
def test_failover_program_killed(machine: Database, strace: None, call: str, number: int) -> None:
    """The failover program dies before one of its steps, and nobody else watches: `reconcile` ends what it began."""
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'")
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run(f"kill -9 $(head -1 {data(old)}/postmaster.pid)")
        ended = fail_over_until(machine, call, number)
        primaries = [node["role"] for node in machine.status()["nodes"]].count("primary")
        state = machine.run(f"cat {STATE}")
        machine.run("luckygas db reconcile && luckygas db failover; true")
        writes_elsewhere(machine, load, old)
        machine.run(f"systemctl start {SUPERVISOR}")
        machine.wait_until_whole()
    print(f"\nkilled before {call} {number}, in phase {state.split('phase')[1][:14]!r}: whole again")
    assert ended == "137", "it came to its end before that step"
    assert primaries <= 1
    assert not load.lost()


def test_rebooted_in_the_middle_of_a_failover(machine: Database, strace: None) -> None:
    """The plug is pulled while a failover is half done."""
    machine.run(f"systemctl stop {GUARDIANS} 'repmgrd@*'")
    old = machine.primary()
    with DatabaseLoad(machine, 4, 0.05) as load:
        machine.run(f"kill -9 $(head -1 {data(old)}/postmaster.pid)")
        fail_over_until(machine, "rename", 2)  # with the first one it has written that it began
        state = machine.run(f"cat {STATE}")
    machine.pull_the_plug()
    machine.wait_until_whole(120)
    assert '"phase": "failover"' in state
    assert machine.primary() != old
    assert not load.lost()


def test_disk_of_the_primary_full(machine: Database) -> None:
    """The primary has a disk of its own, and it is full: another one leads, and it comes back when there is room."""
    small = machine.standbys()[0]
    disk = "size=700M,uid=$(id -u postgres),gid=$(id -g postgres),mode=0700"
    try:
        machine.run(f"systemctl stop postgresql@17-{small}; mount -t tmpfs -o {disk} tmpfs {data(small)}")
        machine.run(f"luckygas db rejoin {small}", timeout=180, check=False)  # the supervisor may be at it already
        machine.wait_until_whole()
        machine.run(f"luckygas db switchover --to {small}")
        machine.wait_until_whole()
        with DatabaseLoad(machine, 4, 0.05) as load:
            full = f"dd if=/dev/zero of={data(small)}/filler bs=1M 2>/dev/null"
            at = machine.hurt(f"{full}; true")
            writes_elsewhere(machine, load, small, 60)
            machine.run(f"rm -f {data(small)}/filler")
            machine.wait_until_whole(120)
        print(f"\ndisk full: {load.outage(at, machine.port(small)):.2f} s")
        assert not load.lost()
    finally:
        machine.run(f"systemctl stop {GUARDIANS} postgresql@17-{small}; umount {data(small)}")
        machine.run(f"systemctl start {SUPERVISOR}; luckygas db rejoin {small}", timeout=180, check=False)
