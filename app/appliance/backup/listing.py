"""What an operator wants to know about the backups, and how bad it is."""

from collections.abc import Iterable

from appliance.backup import archive
from appliance.backup.record import LOCAL, S3
from appliance.backup.sealed import Sealed
from appliance.backup.watch import View
from appliance.output import CRITICAL, OK, WARNING, Report, counted, local, marked

# A day, and two hours for the work itself.
MAX_AGE_SECONDS = 26 * 3600
MAX_ARCHIVE_AGE_SECONDS = 300
MAX_COPY_AGE_SECONDS = 3600
HERE_ONLY = "All of this is on this machine only: what takes the machine takes its backups."


def report(view: View, now: float) -> Report:
    """Judge what was seen."""
    severity, problems = OK, []
    for grave, problem in complaints(view, now):
        severity = max(severity, CRITICAL if grave else WARNING)
        problems.append(problem)
    rows = []
    for backup in view.backups:
        proof = view.record.proof_of(backup.label)
        verdict = ("good" if proof.good else f"bad: {proof.why}") if proof else "not yet"
        rows.append(
            {
                "label": backup.label,
                "when": local(backup.ended),
                "kind": backup.kind,
                "size_bytes": backup.size,
                "stored_bytes": backup.stored,
                "where": where(backup.label, view),
                "proven": local(proof.at) if proof and proof.good else None,
                "verdict": verdict if view.archive.leads_here(backup) else "left behind by a restore",
                "restore_seconds": proof.seconds if proof and proof.good else None,
                "behind_seconds": proof.behind_seconds if proof and proof.good else None,
            }
        )
    data = {
        "backups": rows,
        "dumps": [beside(one, view) for one in view.sealed],
        "archive": {
            "age_seconds": None if view.archive.newest is None else round(now - view.archive.newest, 1),
            "waiting_segments": view.waiting,
            "missing": view.missing,
            "forgone": view.forgone,
        },
        "problems": problems,
        "notes": [copied(view.record.copied_at)],
    }
    return Report(data, problems, severity)


def beside(one: Sealed, view: View) -> dict[str, object]:
    """Return the row of a dump, or of the configuration: neither has a name before it was tried."""
    proof = view.record.proof_of(one.label)
    return {
        "label": one.label,
        "when": local(one.at),
        "kind": one.kind,
        "stored_bytes": one.size,
        "where": where(one.label, view),
        "proven": local(proof.at) if proof else None,
        "verdict": "good" if proof else "read back",
        "restore_seconds": proof.seconds if proof else None,
        "rows": proof.rows if proof else None,
        "file": str(one.file),
    }


def where(label: str, view: View) -> list[str]:
    """Return where something lies."""
    return [LOCAL, *([S3] if label in view.record.copied else [])]


def copied(at: float) -> str:
    """Return what the loss of this machine would cost."""
    return f"In the bucket is what was here at {local(at)}." if at else HERE_ONLY


def complaints(view: View, now: float) -> Iterable[tuple[bool, str]]:
    """Yield what is wrong, and whether it is grave."""
    for work, why in view.record.failures.items():
        yield False, f"{work}: {why}. It is tried again by itself"
    if not view.backups:
        yield True, "there is no backup; to take one now: luckygas backup"
        return
    newest = view.backups[-1]
    if now - newest.ended > MAX_AGE_SECONDS:
        yield True, f"the newest backup is of {local(newest.ended)}; see: journalctl -u luckygas-backup"
    if newest.broken_pages:
        yield True, f"{newest.label} holds pages whose checksum is wrong; see: journalctl -u luckygas-backup"
    yield from gaps(view, newest.label)
    if view.archive.newest is not None and now - view.archive.newest > MAX_ARCHIVE_AGE_SECONDS:
        since = local(view.archive.newest)
        yield True, f"no WAL has arrived in the archive since {since}; {waiting(view.waiting)}"
    for last in view.record.bad:
        yield True, f"{last.label} ({last.repository}) did not pass its proof: {last.why}"
    if view.record.copied_at and now - view.record.copied_at > MAX_COPY_AGE_SECONDS:
        yield (
            True,
            f"the bucket is as it was at {local(view.record.copied_at)}; see: journalctl -u luckygas-backup-copy",
        )
    yield from ((False, problem) for problem in stale(view, now))
    if is_unproven(view, now):
        good = view.record.last_good()
        since = f"since {local(good.at)}" if good else "yet"
        yield False, f"no backup was proven {since}; to do it now: luckygas backup prove"


def is_unproven(view: View, now: float) -> bool:
    """Tell whether no backup was found good for too long."""
    good = view.record.last_good()
    return not view.is_new(now) and (good is None or now - good.at > MAX_AGE_SECONDS)


def stale(view: View, now: float) -> Iterable[str]:
    """Yield what is missing beside the repository."""
    if not view.sealed and now - view.backups[0].ended > MAX_AGE_SECONDS:
        yield "there is no dump of any database; to write one now: luckygas backup dump"
    for one in {one.subject: one for one in view.sealed}.values():
        if now - one.at > MAX_AGE_SECONDS:
            yield f"the newest {one.kind} is {one.label}; see: journalctl -u luckygas-backup-dump"


def gaps(view: View, newest: str) -> Iterable[tuple[bool, str]]:
    """Yield what the archive lacks, on the way from the newest backup to today and from before it."""
    if view.missing:
        named = archive.named(view.missing)
        yield True, f"WAL is missing from the archive: {named}; if it is lost, a new backup begins by itself"
    if view.forgone:
        named = archive.named(view.forgone)
        yield False, f"WAL of before {newest} is lost: {named}; moments between there and that backup are, too"


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:  # noqa: PLR2004 - what the units are made of
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def line(row: dict) -> str:
    """Return the line of a backup, or of what stands beside the repository: that has no size but its own, and rows."""
    proven, whole = row["verdict"], size(row["size_bytes"]) if "size_bytes" in row else ""
    if row["proven"]:
        seen = f"{row['rows']} rows" if "rows" in row else f"{row['behind_seconds']:.0f} s behind"
        proven = f"{row['proven'][:19]} in {row['restore_seconds']:.0f} s, {seen}"
    return (
        f"{row['label']:<34}{row['kind']:<8}{row['when'][:19]:<21}{whole:>9}{size(row['stored_bytes']):>9}"
        f"  {','.join(row['where']):<10}{proven}"
    )


def waiting(segments: int) -> str:
    """Return how much is not archived yet in words."""
    return f"{counted(segments, 'segment')} {'waits' if segments == 1 else 'wait'}"


def human(found: Report) -> str:
    """Return the report as a page for the terminal."""
    lines = [f"{'BACKUP':<34}{'KIND':<8}{'WHEN':<21}{'SIZE':>9}{'STORED':>9}  {'WHERE':<10}PROVEN"]
    lines += [line(row) for row in (*found.data["backups"], *found.data["dumps"])]  # type: ignore[misc]
    seen = found.data["archive"]
    age = "never" if seen["age_seconds"] is None else f"{seen['age_seconds']:.0f} s ago"  # type: ignore[index]
    lines += ["", f"last WAL archived {age}, {waiting(seen['waiting_segments'])}"]  # type: ignore[index]
    lines += marked(found.problems)
    return "\n".join([*lines, "", *found.data["notes"]])  # type: ignore[misc]
