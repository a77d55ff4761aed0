"""Quorum commit: kept on while a standby streams, taken off within seconds when none does, so that no write hangs.

The order makes the state honest: it says "on" only while PostgreSQL enforces it and a standby holds everything.
"""

from dataclasses import dataclass, replace

from appliance.database import postgres
from appliance.database.settings import Settings
from appliance.database.state import STABLE, Store
from appliance.system import BusyError, log

FALL_BACK_SECONDS = 2.0
# A standby reports every second. One that has not for this long acknowledges nothing either.
SILENT_SECONDS = 3

ASK = f"""
SELECT current_setting('synchronous_standby_names') <> '', pg_current_wal_lsn() - '0/0'::pg_lsn,
  count(*) FILTER (WHERE state = 'streaming' AND reply_time > clock_timestamp() - interval '{SILENT_SECONDS} s'),
  coalesce(max(write_lsn) FILTER (WHERE sync_state = 'quorum'), '0/0') - '0/0'::pg_lsn
FROM pg_stat_replication WHERE application_name = ANY ('{{%s}}')
"""


@dataclass(frozen=True)
class View:
    """How the primary sees its standbys."""

    enforced: bool
    written: int
    streaming: int
    confirmed: int


@dataclass
class Memory:
    """What is remembered from one look to the next."""

    last_streaming: float
    mark: int | None = None  # a place in the WAL that was written while quorum commit was enforced


def ask(settings: Settings, primary: str) -> View:
    """Ask the primary how it sees its standbys."""
    enforced, written, streaming, confirmed = postgres.query(
        settings.instances[primary],
        ASK % ",".join(settings.instances),
        timeout=1.0,
    )[0]
    return View(enforced == "t", int(float(written)), int(streaming), int(float(confirmed)))


def decide(view: View, memory: Memory, *, quorum: bool, now: float) -> str:
    """Return `off`, `enforce`, `on` or `keep`. Pure, but for its memory."""
    if view.streaming:
        memory.last_streaming = now
    elif now - memory.last_streaming >= FALL_BACK_SECONDS:
        memory.mark = None
        return "off" if quorum or view.enforced else "keep"
    if not view.enforced:
        memory.mark = None
        return "enforce" if view.streaming else "keep"
    if quorum:
        return "keep"
    if memory.mark is not None and view.streaming and view.confirmed >= memory.mark:
        return "on"
    memory.mark = view.written if memory.mark is None else memory.mark
    return "keep"


def step(settings: Settings, store: Store, memory: Memory, epoch: int, now: float) -> None:
    """Look once and act once."""
    primary = store.load().primary
    view = ask(settings, primary)
    act = decide(view, memory, quorum=store.load().quorum, now=now)
    if act == "keep":
        return
    try:
        with store.lock(patience=0):
            state = store.load()
            if (state.epoch, state.phase) != (epoch, STABLE):
                return
            if act == "off":
                # First the state: from here on, only this instance may go on by itself.
                store.save(replace(state, quorum=False))
                postgres.enforce_quorum(settings.instances[primary], on=False)
                log(f"no standby streams from {primary}: commits no longer wait for one")
            elif act == "enforce":
                postgres.enforce_quorum(settings.instances[primary], on=True)
            else:
                store.save(replace(state, quorum=True))
                log("commits wait for a standby again")
    except BusyError:
        return
