"""A trial: files are replaced and put in force; unless it is confirmed in time, all is as it was before.

What it takes to undo it is on the disk before the first file is touched, so that neither a crash nor a restart of the
machine in the middle leaves what nobody confirmed: `recover` runs before anything reads those files at boot.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from appliance.output import FailedError, RefusedError
from appliance.system import locked, log, run, write_file
from appliance.trial import session

DIRECTORY = Path("/var/lib/luckygas/trials")
COMMAND = "/usr/local/bin/luckygas"
TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Former:
    """What a file was before."""

    content: str
    mode: int

    @classmethod
    def of(cls, file: Path) -> Self | None:
        """Read it; None where there was no such file."""
        return cls(file.read_text(), file.stat().st_mode & 0o7777) if file.exists() else None


@dataclass(frozen=True)
class Trial:
    """What is on trial, and what undoes it."""

    name: str
    former: Mapping[str, Former | None]
    undo: Sequence[str]
    began: float
    """In seconds since the start of the machine, as the kernel says it of a connection's process."""
    seconds: float
    problem: str = ""
    """Why what was there before, whose files are back, could not be put in force; nothing else is on trial any more."""

    @property
    def left(self) -> float:
        """Return how many seconds are left to confirm it."""
        return self.began + self.seconds - session.uptime()


class Trials:
    """All trials of the machine, one of a name at a time."""

    def __init__(self, directory: Path = DIRECTORY, execute: Callable[[Sequence[str]], str] | None = None) -> None:
        """Keep the records in `directory`."""
        self.directory = directory
        self.execute = execute or complain

    def lock(self) -> AbstractContextManager[None]:
        """Keep every other change of a trial out."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return locked(self.directory / "lock", 30.0, "another trial is being begun or ended; try again")

    def file(self, name: str) -> Path:
        """Return where the record of a trial is."""
        return self.directory / f"{name}.json"

    def pending(self, name: str) -> Trial | None:
        """Return the trial of that name that is neither confirmed nor undone."""
        if not self.file(name).exists():
            return None
        told = json.loads(self.file(name).read_text())
        former = {path: Former(**one) if one else None for path, one in told.pop("former").items()}
        return Trial(**told, former=former)

    def begin(  # noqa: PLR0913 - each said by name
        self, name: str, files: Mapping[Path, str], *, apply: Sequence[str], undo: Sequence[str], seconds: float,
        mode: int = 0o644,
    ) -> Trial:  # fmt: skip
        """Replace the files and put them in force by `apply`; `undo` is what to run once the former ones are back."""
        with self.lock():
            with contextlib.suppress(FailedError):  # what begins takes its place, and leads back to the same files
                self.undo(name, "it was never confirmed, and another one begins")
            if before := self.pending(name):  # one that could not be taken back, and whose timer still runs
                self.execute(["systemctl", "stop", f"{unit(name)}.timer"])
            former = {str(file): Former.of(file) for file in files}
            trial = Trial(name, former, [str(word) for word in undo], session.uptime(), seconds)
            self.keep(trial)
            if problem := self.execute(timer(name, seconds)):
                if before:
                    self.keep(before)
                else:
                    self.file(name).unlink()
                raise FailedError(f"nothing was changed: the timer that would take it back cannot be set: {problem}")
            for file, content in files.items():
                write_file(file, content, mode=mode)
            if problem := self.execute([str(word) for word in apply]):
                try:
                    self.undo(name, "it cannot be put in force")
                except FailedError as other:
                    raise FailedError(f"{name}: {problem}. {other}") from None
                raise FailedError(f"{name}: {problem}; what was in force before is again")
            log(f"{name}: on trial for {seconds:g} s")
            return trial

    def confirm(self, name: str, *, here: bool = False) -> None:
        """Keep what is on trial. `here`: somebody else made sure that a new connection could be made."""
        with self.lock():
            trial = self.pending(name)
            if trial is None:
                raise RefusedError(f"nothing is on trial for the {name}: it was confirmed or taken back already")
            if trial.problem:
                raise RefusedError(not_back(trial))
            since = session.connected_at()
            if not here and not session.is_console() and (since is None or since <= trial.began):
                raise RefusedError(
                    "this session is older than the trial and would live on under any rules. Open a new SSH "
                    f"connection and type there, within {max(0, trial.left):.0f} s: luckygas {name} confirm"
                )
            self.file(name).unlink()
            self.execute(["systemctl", "stop", f"{unit(name)}.timer"])
            log(f"{name}: confirmed")

    def revert(self, name: str, why: str) -> bool:
        """Undo a trial; returns whether there was one."""
        with self.lock():
            return self.undo(name, why)

    def undo(self, name: str, why: str) -> bool:
        """Undo a trial, for whoever holds the lock. It stays on record until what was before is in force again."""
        trial = self.pending(name)
        if trial is None:
            return False
        self.restore(trial)
        if problem := self.execute(trial.undo):
            trial = replace(trial, problem=problem)
            self.keep(trial)
            log(f"{not_back(trial)} ({why})")
            raise FailedError(not_back(trial))
        self.file(name).unlink()
        self.execute(["systemctl", "stop", f"{unit(name)}.timer"])
        log(f"{name}: taken back, {why}")
        return True

    def keep(self, trial: Trial) -> None:
        """Write the record of a trial."""
        write_file(self.file(trial.name), json.dumps(asdict(trial)) + "\n", mode=0o600)

    def restore(self, trial: Trial) -> None:
        """Put the former files back."""
        for path, former in trial.former.items():
            if former is None:
                Path(path).unlink(missing_ok=True)
            else:
                write_file(Path(path), former.content, mode=former.mode)

    def recover(self) -> list[str]:
        """Put the former files of every trial back, at boot: whoever reads them starts only after this."""
        with self.lock():
            names = sorted(file.stem for file in self.directory.glob("*.json"))
            for name in names:
                if trial := self.pending(name):
                    self.restore(trial)
                self.file(name).unlink()
                log(f"{name}: taken back, the machine was restarted before anybody confirmed it")
            return names


def not_back(trial: Trial) -> str:
    """Return why a trial that is taken back is not over, and the way out."""
    return (
        f"{trial.name}: its files are those of before the trial, but they cannot be put in force: {trial.problem}. "
        f"Mend that, then: luckygas {trial.name} revert"
    )


def unit(name: str) -> str:
    """Return the name of the units that take a trial back."""
    return f"luckygas-trial-{name}"


def timer(name: str, seconds: float) -> list[str]:
    """Return the command that has systemd take a trial back."""
    wait = f"--on-active={seconds:g}s"
    accuracy = "--timer-property=AccuracySec=100ms"
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={unit(name)}",
        wait,
        accuracy,
        COMMAND,
        "trial",
        "revert",
        name,
    ]


def complain(command: Sequence[str]) -> str:
    """Run a command; returns what it complained of when it failed, or nothing."""
    done = run(command, timeout=TIMEOUT_SECONDS)
    return (
        (done.stderr or done.stdout or f"{command[0]} ended with {done.returncode}").strip() if done.returncode else ""
    )
