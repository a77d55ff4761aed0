"""What a release has to pass before anything that serves is touched."""

import json
import time
from dataclasses import dataclass

from appliance.backup import pgbackrest
from appliance.backup.listing import MAX_AGE_SECONDS
from appliance.backup.pgbackrest import BackRestError
from appliance.backup.places import REPOSITORY
from appliance.database import postgres
from appliance.database.postgres import QueryError
from appliance.database.settings import Instance
from appliance.output import RefusedError
from appliance.release.installed import last_words
from appliance.release.places import TOOLS
from appliance.system import run

TOOL_SECONDS = 120


@dataclass(frozen=True)
class Schema:
    """Which migrations a release knows, oldest first; and which of them a release that runs beside it has to know."""

    revisions: tuple[str, ...] = ()
    contracts_after: str | None = None


def tool(release: str, *words: str) -> str:
    """Run one of a release's own tools, with the settings and the secrets on disk; returns what it printed."""
    result = run([TOOLS, *words], timeout=TOOL_SECONDS, environment={"RELEASE": release})
    if result.returncode:
        complaint = last_words(result.stderr or result.stdout).removeprefix("Error: ")
        raise RefusedError(f"{release}: {' '.join(words)}: {complaint}; nothing that runs was touched")
    return result.stdout.strip()


def schema_of(release: str) -> Schema:
    """Return what a release knows of the schema; nothing for one that cannot tell."""
    if not release:
        return Schema()
    try:
        told = json.loads(tool(release, "schema"))
    except (RefusedError, ValueError):
        return Schema()
    return Schema(tuple(told["revisions"]), told["contracts_after"])


def require_both_can_serve(old: str, new: str) -> None:
    """Refuse a release that has taken away from the schema what the one that serves, or is to come back, needs."""
    if not old:
        return
    schemas = {old: schema_of(old), new: schema_of(new)}
    for one, other in ((old, new), (new, old)):
        needed = schemas[other].contracts_after
        if needed is None or needed in schemas[one].revisions:
            continue
        if one == old:
            raise RefusedError(
                f"{new} takes away from the schema what {old} uses, which serves now: install a release first "
                f"that knows the migration {needed} and takes nothing away, then this one"
            )
        raise RefusedError(f"{new} needs what {old} has taken away from the schema; it can be had by luckygas restore")


def require_backup(now: float) -> None:
    """Refuse to go on without a backup of the last day. A machine without a repository of backups has none to ask."""
    if not REPOSITORY.exists():
        return
    try:
        backups = pgbackrest.info()
    except BackRestError as problem:
        raise RefusedError(f"the backups cannot be read: {problem}; see luckygas backups") from None
    if not backups or now - backups[-1].ended > MAX_AGE_SECONDS:
        what = "the newest backup is older than a day" if backups else "there is no backup yet"
        raise RefusedError(f"{what}: take one by luckygas backup, or say --without-backup")


def mark_point(primary: Instance | None, release: str) -> float:
    """Note in the WAL that the schema is about to change, hand it to the archive, and return the moment."""
    if primary is None:
        raise RefusedError("no instance of PostgreSQL leads at the moment; see luckygas db status")
    try:
        postgres.query(
            primary, f"SELECT pg_create_restore_point('before {release}')", "SELECT pg_switch_wal()", timeout=10
        )
    except QueryError as problem:
        raise RefusedError(f"the moment before the migration cannot be noted: {problem}") from None
    return time.time()
