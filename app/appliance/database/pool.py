"""pgBouncer's entries: NAME follows the primary, NAME_ro spreads over the standbys. Nobody else writes their file."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from appliance.database import postgres
from appliance.database.settings import SOCKETS, Settings
from appliance.output import RefusedError
from appliance.system import begin, log, run, write_file
from appliance.units import running_replaced

# pgBouncer takes several hosts but one port: here each instance's socket has a directory, and the same name in it.
LINKS = Path("/run/luckygas-database")
LINK_PORT = 5432
# There while pgBouncer has yet to read the entries. One that starts reads them anyway: a reboot may take it away.
UNTOLD = LINKS / "untold"
UNIT = "pgbouncer.service"
CONSOLE = {"user": "pgbouncer", "database": "pgbouncer"}
PAUSED_COLUMN = -2  # of SHOW DATABASES, whose columns grow in the middle


def render(settings: Settings, primary: str, readers: Iterable[str]) -> str:
    """Return the content of the entries' file."""
    hosts = ",".join(str(LINKS / name) for name in sorted(readers) or [primary])
    lines = ["; Written by `luckygas db`. Whatever else is written here is lost.", "[databases]"]
    for database in settings.databases:
        lines.append(f"{database} = host={SOCKETS} port={settings.instances[primary].port} dbname={database}")
        lines.append(f"{database}_ro = host={hosts} port={LINK_PORT} dbname={database}")
    return "\n".join(lines) + "\n"


def admin(settings: Settings, *commands: str, timeout: float = 3.0) -> subprocess.CompletedProcess[str]:
    """Speak to pgBouncer's console. It trusts its own system user, and nobody else."""
    return postgres.psql(settings.pool_port, *commands, timeout=timeout, run_as="postgres", **CONSOLE)


def hold(settings: Settings) -> None:
    """Let clients wait instead of fail, without waiting for those that are inside a transaction."""
    for database in settings.databases:
        command = postgres.asking(settings.pool_port, f"PAUSE {database}", **CONSOLE)
        begin(command, user="postgres", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pause(settings: Settings, patience: float) -> bool:
    """Let clients wait; True when every transaction that was under way has ended."""
    return all(
        admin(settings, f"PAUSE {database}", timeout=patience).returncode == 0 for database in settings.databases
    )


def resume(settings: Settings) -> None:
    """End every pause, whoever began it."""
    for database in settings.databases:
        result = admin(settings, f"RESUME {database}")
        if result.returncode and "not paused" not in result.stderr:
            log(f"the pool did not resume {database}: {result.stderr.strip()}")


def point(settings: Settings, primary: str, readers: Iterable[str]) -> bool:
    """Write the entries and have pgBouncer read them; True when they changed. One that did not answer is told again."""
    content = render(settings, primary, readers)
    changed = not settings.pool_file.is_file() or settings.pool_file.read_text() != content
    if changed:
        # First: whoever is killed between the two leaves a file that looks as if all was done.
        UNTOLD.parent.mkdir(parents=True, exist_ok=True)
        UNTOLD.touch()
        write_file(settings.pool_file, content, mode=0o640, owner="postgres")
    elif not UNTOLD.exists():
        return False
    result = admin(settings, "RELOAD")
    if result.returncode == 0:
        UNTOLD.unlink(missing_ok=True)
    if changed or result.returncode == 0:
        problem = f"written, the pool does not answer ({result.stderr.strip()})"
        log(
            f"writes go to {primary}, reads to {', '.join(sorted(readers)) or primary}: "
            f"{problem if result.returncode else 'told to the pool'}"
        )
    return changed


def restart_pending() -> bool:
    """Tell whether the pool runs with a replaced program."""
    return bool(running_replaced([UNIT]))


def restart() -> None:
    """Have the pool take up what was upgraded. It ends what is under way; clients that are idle must connect again."""
    done = run(["systemctl", "restart", UNIT], timeout=60)
    if done.returncode:
        raise RefusedError(f"the pool was not restarted: {done.stderr.strip()}; see: journalctl -u {UNIT}")


def is_paused(settings: Settings) -> bool:
    """Tell whether an entry of ours is held."""
    rows = admin(settings, "SHOW DATABASES", timeout=1.0).stdout.splitlines()
    table = [row.split("|") for row in rows]
    return any(row[0] in settings.databases and row[PAUSED_COLUMN] == "1" for row in table if len(row) > -PAUSED_COLUMN)
