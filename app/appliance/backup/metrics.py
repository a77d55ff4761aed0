"""What the node exporter reads from a file. Alerts stand on the age of the last proof, not on how a job ended."""

import contextlib
import shutil

from appliance.backup.places import METRICS_FILE, REPOSITORY, SCRATCH
from appliance.backup.proof import needed
from appliance.backup.record import BACKUP, PROOF
from appliance.backup.taking import RESERVE_BYTES, bytes_below
from appliance.backup.watch import View
from appliance.database.system import write_file

LOCAL = '{repository="local"}'
HELP = {
    "luckygas_backup_finished_timestamp_seconds": "When the newest backup of this kind was whole.",
    "luckygas_backup_size_bytes": "How large the database was in the newest backup.",
    "luckygas_backup_repository_bytes": "What the repository takes.",
    "luckygas_backup_failing": "1 while the work did not come to its end the last time.",
    "luckygas_backup_proof_timestamp_seconds": "When a backup was last restored and found good.",
    "luckygas_backup_proof_good": "What the last proof found.",
    "luckygas_backup_restore_seconds": "From nothing to a server that answers, at the last good proof.",
    "luckygas_backup_behind_seconds": "How old the newest row was in it.",
    "luckygas_backup_room_bytes": "Free space beyond what the next proof needs; below 0 it is refused.",
    "luckygas_backup_archive_timestamp_seconds": "When the last WAL segment was archived.",
    "luckygas_backup_archive_waiting_segments": "WAL segments that wait to be archived.",
    "luckygas_backup_archive_missing_segments": "WAL segments that ought to be in the archive and are not.",
}


def render(view: View, used: int, free: int) -> str:
    """Return the metrics in the text format."""
    samples: dict[str, dict[str, float]] = {
        "finished_timestamp_seconds": {f'{{kind="{one.kind}"}}': one.ended for one in view.backups},
        "repository_bytes": {LOCAL: used},
        "failing": {f'{{work="{work}"}}': work in view.record.failures for work in (BACKUP, PROOF)},
        "archive_waiting_segments": {"": view.waiting},
        "archive_missing_segments": {LOCAL: len(view.missing)},
    }
    if view.backups:
        samples["size_bytes"] = {LOCAL: view.backups[-1].size}
        samples["room_bytes"] = {LOCAL: free - needed(view.backups[-1]) - RESERVE_BYTES}
    if view.archive.newest is not None:
        samples["archive_timestamp_seconds"] = {LOCAL: view.archive.newest}
    if view.record.proofs:
        samples["proof_good"] = {LOCAL: view.record.proofs[-1].good}
    if good := view.record.last_good():
        samples["proof_timestamp_seconds"] = {LOCAL: good.at}
        samples["restore_seconds"] = {LOCAL: good.seconds}
        samples["behind_seconds"] = {LOCAL: good.behind_seconds}
    lines = []
    for metric, values in samples.items():
        name = f"luckygas_backup_{metric}"
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge"]
        lines += [f"{name}{label} {round(float(value), 3)!r}" for label, value in values.items()]
    return "\n".join(lines) + "\n"


def write(view: View) -> None:
    """Replace the file. A full disk must not end the watch."""
    with contextlib.suppress(OSError):
        text = render(view, bytes_below(REPOSITORY), shutil.disk_usage(SCRATCH).free)
        write_file(METRICS_FILE, text, mode=0o644, durable=False)
