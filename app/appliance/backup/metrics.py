"""What the node exporter reads from a file. Alerts stand on the age of the last proof, not on how a job ended."""

import contextlib
import shutil

from appliance.backup.places import METRICS_FILE, REPOSITORY, SCRATCH, standing
from appliance.backup.proof import needed
from appliance.backup.record import BACKUP, COPY, DUMP, LOCAL, PROOF, S3
from appliance.backup.taking import RESERVE_BYTES, bytes_below
from appliance.backup.watch import View
from appliance.system import write_file

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
    "luckygas_backup_copied_timestamp_seconds": "When the bucket last held all that the repository held.",
    "luckygas_backup_archive_timestamp_seconds": "When the last WAL segment was archived.",
    "luckygas_backup_archive_waiting_segments": "WAL segments that wait to be archived.",
    "luckygas_backup_archive_missing_segments": "WAL segments that ought to be in the archive and are not.",
}


def of(repository: str) -> str:
    """Return the label of a repository."""
    return f'{{repository="{repository}"}}'


def render(view: View, used: int, free: int) -> str:
    """Return the metrics in the text format."""
    samples: dict[str, dict[str, float]] = {
        "finished_timestamp_seconds": {
            f'{{kind="{kind}"}}': at
            for kind, at in [(one.kind, one.ended) for one in view.backups]
            + [(one.kind, one.at) for one in view.sealed]
        },
        "repository_bytes": {of(LOCAL): used},
        "failing": {f'{{work="{work}"}}': work in view.record.failures for work in (BACKUP, PROOF, COPY, DUMP)},
        "archive_waiting_segments": {"": view.waiting},
        "archive_missing_segments": {of(LOCAL): len(view.missing)},
    }
    if view.backups:
        samples["size_bytes"] = {of(LOCAL): view.backups[-1].size}
        samples["room_bytes"] = {of(LOCAL): free - needed(view.backups[-1]) - RESERVE_BYTES}
    if view.archive.newest is not None:
        samples["archive_timestamp_seconds"] = {of(LOCAL): view.archive.newest}
    if view.record.copied_at:
        samples["copied_timestamp_seconds"] = {of(S3): view.record.copied_at}
    for proof in view.record.proofs:  # the last one of each repository stays
        samples.setdefault("proof_good", {})[of(proof.repository)] = proof.good
        if proof.good:
            samples.setdefault("proof_timestamp_seconds", {})[of(proof.repository)] = proof.at
            samples.setdefault("restore_seconds", {})[of(proof.repository)] = proof.seconds
            samples.setdefault("behind_seconds", {})[of(proof.repository)] = proof.behind_seconds
    lines = []
    for metric, values in samples.items():
        name = f"luckygas_backup_{metric}"
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge"]
        lines += [f"{name}{label} {round(float(value), 3)!r}" for label, value in values.items()]
    return "\n".join(lines) + "\n"


def write(view: View) -> None:
    """Replace the file. A full disk must not end the watch."""
    with contextlib.suppress(OSError):
        text = render(view, bytes_below(REPOSITORY), shutil.disk_usage(standing(SCRATCH)).free)
        write_file(METRICS_FILE, text, mode=0o644, durable=False)
