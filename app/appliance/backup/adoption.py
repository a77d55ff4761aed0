"""Where the archive goes on after a restore from a bucket: in the repository here, or in what was fetched."""

from pathlib import Path

from appliance.backup import copying, pgbackrest
from appliance.backup.pgbackrest import Say
from appliance.backup.places import KEPT_REPOSITORY, REPOSITORY, aside
from appliance.backup.restore import Target, exchange
from appliance.output import RefusedError


def is_foreign(target: Target) -> bool:
    """Tell whether the archive cannot go on in the repository here: of a new machine, lost, or begun anew since."""
    if target.repository == REPOSITORY:
        return False
    if not any((REPOSITORY / name).exists() for name in copying.INFORMATION):
        return True
    newest = max(backup.label for backup in pgbackrest.info(target.repository))
    return not (
        copying.systems(target.repository) <= copying.systems(REPOSITORY)
        and copying.is_known(newest, pgbackrest.info())
    )


def refuse_unless_adoptable() -> None:
    """Refuse where the repository could not be exchanged, before anything was done."""
    if REPOSITORY.is_mount():
        raise RefusedError(
            f"{REPOSITORY} is a file system of its own, where a fetched repository cannot take its place: "
            f"umount it, and move the repository there when the database is back"
        )


def adopt(fetched: Path, say: Say) -> None:
    """Have the archive go on in what was fetched; what was there is put aside."""
    exchange(fetched, REPOSITORY)
    say("the archive goes on in what was fetched")
    if fetched.exists():
        kept = aside(KEPT_REPOSITORY)
        fetched.rename(kept)
        say(f"the former repository is in {kept}; it goes by: luckygas restore-discard old")
