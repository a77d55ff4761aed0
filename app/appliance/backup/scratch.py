"""Throw-away servers on restored data: a socket of their own, limits of their own, and no word to the others."""

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.backup import pgbackrest
from appliance.backup.pgbackrest import Say
from appliance.backup.places import SCRATCH, make
from appliance.database.settings import BIN
from appliance.system import run

PORT = 5432
TELL_SECONDS = 10.0
# It stands at its target, or has replayed all that the archive holds.
WHERE_IT_STANDS = """
SELECT pg_is_in_recovery() AND pg_get_wal_replay_pause_state() = 'paused',
  EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval'),
  coalesce(pg_last_xact_replay_timestamp()::text, 'the end of the backup'),
  coalesce(extract(epoch FROM pg_last_xact_replay_timestamp()), 0)
"""


class ScratchError(Exception):
    """Restored data did not become a server that answers."""


@dataclass(frozen=True)
class Scratch:
    """One throw-away server."""

    name: str

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"luckygas-scratch@{self.name}.service"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return SCRATCH / self.name

    @property
    def sockets(self) -> Path:
        """The directory of its socket."""
        return Path(f"/run/luckygas-scratch-{self.name}")

    def discard(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def clear(self) -> None:
        """Stop it and have an empty directory for its data."""
        self.discard()
        make(SCRATCH, 0o700)
        make(self.data, 0o700)

    def stop(self) -> None:
        """Stop it; what it has replayed is on the disk then."""
        run(["systemctl", "stop", self.unit], timeout=600)
        run(["systemctl", "reset-failed", self.unit], timeout=10)

    def restore(self, label: str, target: Sequence[str], repository: Path, say: Say) -> float:
        """Restore a backup and have a server stand at the target, in recovery; returns when its last commit was."""
        self.clear()
        say(f"restoring {label}")
        pgbackrest.restore(label, self.data, target, repository, say)
        say("replaying WAL")
        self.start()
        return self.wait(say)

    def initialize(self) -> None:
        """Have an empty server, instead of one on restored data."""
        self.clear()
        options = ["--username=postgres", "--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = run([BIN / "initdb", f"--pgdata={self.data}", *options], user="postgres")
        if made.returncode:
            raise ScratchError(f"no empty server: {' '.join(made.stderr.split())}")
        if run(["systemctl", "start", self.unit]).returncode:
            raise ScratchError(f"the empty server did not start: {self.last_words()}")

    def start(self) -> None:
        """Have systemd start it."""
        run(["systemctl", "start", "--no-block", self.unit], timeout=10)

    def wait(self, say: Say) -> float:
        """Wait until it stands at its target; there is no time-out, since the amount of WAL decides."""
        began = told = time.monotonic()
        while True:
            seen = self.psql(WHERE_IT_STANDS, check=False)
            paused, exhausted, until, seconds = seen.split("|") if seen else ("f", "f", "", "0")
            if "t" in (paused, exhausted):
                say(f"replayed until {until}")
                return float(seconds)
            if time.monotonic() - began > 1 and self.has_ended():
                raise ScratchError(f"the restored server did not get there: {self.last_words()}")
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                say(f"  replayed until {until or 'it is consistent: not yet'}")
            time.sleep(0.2)  # the server has no event for "I am there"

    def has_ended(self) -> bool:
        """Tell whether its unit runs no more."""
        state = run(["systemctl", "show", "--property=ActiveState", "--value", self.unit], timeout=10).stdout.strip()
        return state in ("failed", "inactive")

    def last_words(self) -> str:
        """Return what the server, or pgBackRest on its behalf, complained of."""
        shown = run(["systemctl", "show", "--property=InvocationID", "--value", self.unit], timeout=10)
        run_id = shown.stdout.strip()
        told = run(["journalctl", "--output=cat", f"_SYSTEMD_INVOCATION_ID={run_id}"], timeout=60).stdout.splitlines()
        grave = [
            # pgBackRest says what in the first line and why in the second.
            " ".join(line.split("] ", 1)[-1].split() + (after.split() if line.endswith(":") else []))
            for line, after in zip(told, [*told[1:], ""], strict=True)
            if re.search("FATAL|PANIC|ERROR|invalid|incorrect", line) and "starting up" not in line
        ]
        return " / ".join(dict.fromkeys(grave[-3:])) or f"see: journalctl -u {self.unit}"

    def promote(self) -> None:
        """Let it take writes, which nobody else will see."""
        self.psql("SELECT pg_promote(true, 600)")
        if self.psql("SELECT pg_is_in_recovery()") != "f":
            raise ScratchError(f"the restored server did not end its recovery: {self.last_words()}")

    def client(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of a client program of PostgreSQL's."""
        return [str(BIN / program), f"--host={self.sockets}", f"--port={PORT}", "--username=postgres", *arguments]

    def psql(self, *statements: str, database: str = "postgres", check: bool = True) -> str:
        """Run statements and return what they say."""
        options = ["-XAtqw", "-v", "ON_ERROR_STOP=1", f"--dbname={database}"]
        command = self.client("psql", *options, *(word for one in statements for word in ("-c", one)))
        result = run(command)
        if check and result.returncode:
            raise ScratchError(f"{self.name}: {' '.join(result.stderr.split())}")
        return result.stdout.strip()
