"""Making a fenced instance a copy of the primary again: rewound where that is enough, else copied anew.

The lock of the state is held only for its changes, never while data is copied: a failover must not wait for a copy.
"""

import contextlib
import re
import shutil
import time
from pathlib import Path

from appliance.database import pool, postgres, processes, registry
from appliance.database.cluster import Cluster
from appliance.database.settings import BIN, SOCKETS, STATE_DIRECTORY, Instance
from appliance.database.state import STABLE, State, Store
from appliance.output import RefusedError
from appliance.system import locked, log, run, write_file
from appliance.units import shown

STREAM_PATIENCE_SECONDS = 60.0


def alone(name: str) -> contextlib.AbstractContextManager[None]:
    """Keep a second rejoin of the same instance out."""
    busy = f"a rejoin of {name} is under way; follow it by: journalctl -fu luckygas-database-rejoin@{name}"
    return locked(STATE_DIRECTORY / f"rejoin-{name}.lock", 0, busy)


def rejoin(store: Store, cluster: Cluster, name: str) -> str:
    """Bring an instance back as a streaming standby; returns how."""
    with alone(name):
        with store.lock():
            state = store.load()
            refuse_unless_stable(state, name)
            node = cluster.look_at(name)
            if name not in state.fenced and node.streams and node.upstream == state.primary:
                return "streams already"
            if name not in state.fenced:
                store.save(state.fencing(name, "rejoin"))
            processes.fence(cluster.instances[name])
        instance, upstream = cluster.instances[name], cluster.instances[state.primary]
        how = (
            "rewound" if rewind(instance, upstream) and run_as_standby(store, cluster, name, state.epoch) else "copied"
        )
        if how == "copied":
            refuse_if_another_leads(store.load(), name, state.epoch)
            copy(instance, upstream)
            if not run_as_standby(store, cluster, name, state.epoch):
                message = (
                    f"{name} was copied from {state.primary} and does not stream; see: journalctl -u {instance.unit}"
                )
                raise RefusedError(message)
        with store.lock():
            refuse_if_another_leads(store.load(), name, state.epoch)
            postgres.drop_foreign_slots(instance)
            pool.point(cluster.settings, state.primary, cluster.readers(state.primary, cluster.look()))
        registry.record(cluster.settings, state)
        log(f"{name} is back behind {state.primary} ({how})")
        return how


def refuse_unless_stable(state: State, name: str) -> None:
    """Refuse unless there is a primary that stays one."""
    if state.phase != STABLE:
        message = f"a {state.phase} is under way; it goes on by itself, or by: luckygas db reconcile"
        raise RefusedError(message)
    if state.primary == name:
        message = f"{name} leads; there is nothing to join. To have another one lead: luckygas db switchover"
        raise RefusedError(message)


def refuse_if_another_leads(state: State, name: str, epoch: int) -> None:
    """Refuse once somebody else leads, or is about to, than when the rejoin began: it may be the instance itself."""
    if state.epoch != epoch or state.phase != STABLE or state.primary == name:
        message = f"the primary changed while {name} was made a copy of the former one; it is tried again by itself"
        raise RefusedError(message)


def rewind(instance: Instance, upstream: Instance) -> bool:
    """Undo what the instance wrote and nobody else has; False when only a copy helps."""
    # A rewind that was broken off leaves data that nothing but a copy replaces.
    if instance.rewinding.exists() or not instance.has_data:
        return False
    (instance.data / "postmaster.pid").unlink(missing_ok=True)
    postgres.query(upstream, "CHECKPOINT", timeout=300)
    if only_followed(instance, upstream):
        return True
    # A server that died has to end its recovery first, which pg_rewind does in single-user mode; a standby cannot.
    (instance.data / "standby.signal").unlink(missing_ok=True)
    began = time.monotonic()
    source = f"host={SOCKETS} port={upstream.port} user=postgres dbname=postgres connect_timeout=5"
    command = [
        BIN / "pg_rewind",
        "--target-pgdata",
        instance.data,
        "--source-server",
        source,
        "--config-file",
        instance.etc / "postgresql.conf",
    ]
    instance.rewinding.touch()
    result = run(command, timeout=3600, user="postgres")
    if result.returncode == 0:
        instance.rewinding.unlink()
    last = (result.stderr or result.stdout).strip().splitlines()[-1:]
    log(f"pg_rewind of {instance.name}: exit {result.returncode} after {time.monotonic() - began:.1f} s {last}")
    return result.returncode == 0


def only_followed(instance: Instance, upstream: Instance) -> bool:
    """Tell whether an instance was a standby on the timeline that leads: it has nothing of its own to undo.

    pg_rewind would end its recovery first, and so give it a record of its own on that same timeline, unnoticed.
    """
    control = run([BIN / "pg_controldata", instance.data], user="postgres", timeout=5).stdout
    timeline = re.search(r"Min recovery ending loc's timeline:\s+(\d+)", control)
    leads = postgres.query(upstream, "SELECT timeline_id FROM pg_control_checkpoint()")[0][0]
    return bool(re.search("state:.* in (archive )?recovery\n", control) and timeline and timeline[1] == leads)


def copy(instance: Instance, upstream: Instance) -> None:
    """Replace the instance's data by a copy of the primary's."""
    refuse_unless_mounted(instance)
    size = int(
        postgres.query(upstream, "SELECT sum(pg_database_size(oid)) + 268435456 FROM pg_database", timeout=60)[0][
            0
        ].split(".")[0]
    )
    if instance.data.exists():
        # Emptied, not removed: it may be a file system of its own.
        for entry in instance.data.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    else:
        instance.data.mkdir(mode=0o700)
        shutil.chown(instance.data, "postgres", "postgres")
    free = shutil.disk_usage(instance.data).free
    if free < size:
        message = (
            f"a copy for {instance.name} needs {size >> 20} MB, {free >> 20} MB are free in {instance.data}; "
            f"make room, then: luckygas db rejoin {instance.name}"
        )
        raise RefusedError(message)
    postgres.ensure_slot(upstream, instance)
    command = [
        BIN / "pg_basebackup",
        "--pgdata",
        instance.data,
        "--checkpoint=fast",
        "--wal-method=stream",
        "--slot",
        instance.slot,
        "--dbname",
        f"host={SOCKETS} port={upstream.port} user=postgres application_name=copy-{instance.name}",
    ]
    began = time.monotonic()
    result = run(command, user="postgres")
    if result.returncode == 0:
        instance.rewinding.unlink(missing_ok=True)
    log(f"copy for {instance.name}: exit {result.returncode} after {time.monotonic() - began:.1f} s")
    if result.returncode:
        message = f"the copy for {instance.name} failed: {result.stderr.strip()[-400:]}"
        raise RefusedError(message)


def refuse_unless_mounted(instance: Instance) -> None:
    """Refuse when a disk that belongs at or above the instance's data is not there: the copy would fill another one."""
    data = instance.data.resolve()
    places = [data, *data.parents][:-1]
    table = run(["findmnt", "--fstab", "--noheadings", "--raw", "--output", "TARGET"], timeout=5).stdout
    listed = {Path(target) for target in table.split()}
    # systemd takes a path for the mount there. What came into the table since it read that, it does not know.
    for place, mount in zip(places, shown(map(str, places), "LoadState", "ActiveState"), strict=True):
        belongs = mount["LoadState"] != "not-found" or place in listed
        if belongs and mount["ActiveState"] != "active":
            message = (
                f"the data of {instance.name} belongs on the disk of {place}, which is not mounted; mount it, or, if "
                f"there is none any more, remove its line from /etc/fstab, or its mount unit, and type: systemctl "
                f"daemon-reload; then: luckygas db rejoin {instance.name}"
            )
            raise RefusedError(message)


def write_standby(instance: Instance, upstream: Instance) -> None:
    """Have the data directory say that it is a standby, and whose."""
    file = instance.data / "postgresql.auto.conf"
    # At the target of a restore, which that leaves behind, a standby would stop.
    ours = re.compile(
        rf"\s*(primary_conninfo|primary_slot_name|synchronous_standby_names|{postgres.TARGET_SETTINGS})\s*="
    )
    kept = [line for line in file.read_text().splitlines() if not ours.match(line)] if file.exists() else []
    wanted = [f"{name} = '{value}'" for name, value in postgres.upstream_settings(instance, upstream).items()]
    write_file(file, "\n".join([*kept, *wanted]) + "\n", mode=0o600, owner="postgres")
    write_file(instance.data / "standby.signal", "", mode=0o600, owner="postgres")


def run_as_standby(store: Store, cluster: Cluster, name: str, epoch: int) -> bool:
    """Release the instance, start it and wait until it streams; fenced again when it does not."""
    with store.lock():
        state = store.load()
        refuse_if_another_leads(state, name, epoch)
        instance, upstream = cluster.instances[name], cluster.instances[state.primary]
        postgres.ensure_slot(upstream, instance)
        write_standby(instance, upstream)
        store.save(state.releasing(name))
    processes.start(instance)
    deadline = time.monotonic() + STREAM_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        node = cluster.look_at(name)
        if node.streams:
            return True
        if not node.processes and unit_failed(instance):
            break
        refuse_if_another_leads(store.load(), name, epoch)
        time.sleep(0.1)  # the server has no event for "streams"
    with store.lock():
        state = store.load()
        # Released, it may have been chosen to lead meanwhile.
        refuse_if_another_leads(state, name, epoch)
        store.save(state.fencing(name, "it did not stream after it was rejoined"))
        processes.fence(instance)
    return False


def unit_failed(instance: Instance) -> bool:
    """Tell whether systemd has given up starting the instance."""
    result = run(["systemctl", "show", "--property=ActiveState,Job", "--value", instance.unit], timeout=5)
    return result.stdout.split() in (["failed"], ["inactive"])
