"""Every minute: the canary, the gaps of the archive, work that was broken off, and the metrics."""

import contextlib
import time
from dataclasses import dataclass, field

from appliance.backup import archive, pgbackrest, record, sealed
from appliance.backup.archive import Archive
from appliance.backup.bucket import SETTINGS_FILE
from appliance.backup.lineage import number
from appliance.backup.pgbackrest import BackRestError, Backup
from appliance.backup.record import BACKUP, COPY, DUMP, LOCAL, PROOF, S3, Record
from appliance.backup.sealed import Sealed
from appliance.database import postgres
from appliance.database.cluster import Cluster
from appliance.database.postgres import QueryError
from appliance.database.settings import Instance
from appliance.database.state import STABLE, NoStateError, Store
from appliance.system import run

RETRY_SECONDS = 300.0
FIRST_PROOF_SECONDS = 900.0
UNITS = {
    BACKUP: "luckygas-backup.service",
    PROOF: "luckygas-backup-proof.service",
    DUMP: "luckygas-backup-dump.service",
}


@dataclass(frozen=True)
class View:
    """What one look at the repository and at the one that leads showed."""

    backups: list[Backup]
    archive: Archive
    missing: list[str]
    waiting: int
    record: Record
    forgone: list[str] = field(default_factory=list)
    """Like `missing`, but from before the newest backup: the way from there to today is whole."""
    sealed: list[Sealed] = field(default_factory=list)

    @property
    def is_untried(self) -> bool:
        """Tell whether there are backups, and not one of them was proven or refuted."""
        return bool(self.backups) and not any(proof.repository == LOCAL for proof in self.record.proofs)

    def is_new(self, now: float) -> bool:
        """Tell whether the first backup is so young that its proof may be under way."""
        young = self.is_untried and now - self.backups[0].ended < FIRST_PROOF_SECONDS
        return young and PROOF not in self.record.failures


def leader(store: Store, cluster: Cluster) -> Instance | None:
    """Return the instance that takes writes."""
    with contextlib.suppress(NoStateError):
        state = store.load()
        if state.phase == STABLE and cluster.look_at(state.primary).primary:
            return cluster.instances[state.primary]
    return None


def look(primary: Instance | None) -> View:
    """Look at everything."""
    found = Archive.look()
    backups = pgbackrest.info()
    past = [backup for backup in backups if found.leads_here(backup)]
    gaps = found.missing(past[0].first_segment) if past else []
    forgone = [segment for segment in gaps if number(segment) < number(past[-1].first_segment)]
    missing = gaps[len(forgone) :]
    remembered = Record.load()
    if not SETTINGS_FILE.exists():
        remembered.copied, remembered.copied_at = [], 0.0  # of a bucket that is no more
        remembered.failures.pop(COPY, None)
        remembered.proofs = [proof for proof in remembered.proofs if proof.repository != S3]
    waiting = archive.waiting(primary) if primary else 0
    return View(backups, found, missing, waiting, remembered, forgone, sealed.held())


def due(view: View, now: float, lost: list[str] | None = None) -> list[str]:
    """Return the work that has to be begun again, or for the first time.

    Past `lost` segments nothing can be restored until there is a newer backup. On a new machine the first one is proven
    as soon as it is there, since until the night nobody should have to believe in it.
    """
    needed = {}
    if lost or not view.backups:
        needed[BACKUP] = 0.0
    elif view.is_untried:
        needed[PROOF] = 0.0
    wanted = needed | view.record.wanted
    return [work for work in UNITS if work in wanted and now - wanted[work] >= RETRY_SECONDS]


def watch(store: Store, cluster: Cluster, say: pgbackrest.Say) -> View | None:
    """Look once and do what is to be done; None when the repository cannot be read."""
    primary = leader(store, cluster)
    if primary:
        with contextlib.suppress(QueryError):
            archive.write_canary(primary)
    try:
        view = look(primary)
    except BackRestError as problem:
        say(f"the repository cannot be read: {problem}")
        return None
    if primary and (healed := archive.heal(primary, view.forgone + view.missing + view.archive.unexplained)):
        say(f"{primary.name} archives what is not there: {archive.named(healed)}")
        with contextlib.suppress(QueryError):
            postgres.query(primary, "SELECT pg_switch_wal()", timeout=10)  # its archiver looks when a segment is full
    lost = archive.lost(primary, view.missing) if primary else []
    if lost:
        say(f"{archive.named(lost)} was lost before it was archived, so a new backup is wanted")
    for work in due(view, time.time(), lost):
        if not record.is_under_way(work):
            say(f"{work}: begun again")
            run(["systemctl", "start", "--no-block", UNITS[work]], timeout=10)
    return view
