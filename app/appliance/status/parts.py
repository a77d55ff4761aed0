"""Judging what the parts say of themselves: their own reports, as data."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from appliance.alerts import manager
from appliance.backup.listing import MAX_AGE_SECONDS, MAX_ARCHIVE_AGE_SECONDS, MAX_COPY_AGE_SECONDS, is_unproven
from appliance.backup.watch import View
from appliance.output import CRITICAL, OK, WARNING, ago, counted, local
from appliance.status.check import Check, judged

MAX_LAG_BYTES = 64 << 20
OLD_SECRET_DAYS = 365


def of_database(data: Mapping[str, Any]) -> Iterator[Check]:
    """Judge the report of `luckygas db status`."""
    nodes = data["nodes"]
    standbys = [node for node in nodes if node["name"] != data["appointed"]]
    lost = [node["name"] for node in standbys if not node["streaming"]]
    lags = {node["name"]: node["lag_bytes"] for node in standbys if node["lag_bytes"] is not None}
    waiting = [node["name"] for node in nodes if node["restart_pending"]]
    waiting += ["the pool"] if data["pool"]["restart_pending"] else []
    yield judged(
        "database.leader",
        good=data["primary"] is not None,
        found=f"{data['primary'] or 'nobody'} leads, epoch {data['epoch']}",
        why="no instance takes writes, so no order can be placed",
        what="journalctl -t luckygas-db",
        severity=CRITICAL,
    )
    last = data["last_change"]
    yield Check(
        "database.last_change",
        OK,
        f"from {last['from']} to {last['to']} at {local(last['at'])}: {last['why']}" if last else "none so far",
    )
    yield judged(
        "database.phase",
        good=data["phase"] == "stable",
        found=f"phase {data['phase']}",
        why="a change of the primary is under way; it goes on by itself",
        what="luckygas db status",
    )
    yield judged(
        "database.standbys",
        good=not lost,
        found=f"{len(standbys) - len(lost)} of {len(standbys)} standbys stream",
        why=f"{', '.join(lost)} would be of no help if the primary failed; it is repaired by itself",
        what="luckygas db rejoin",
    )
    late = [name for name, lag in lags.items() if lag > MAX_LAG_BYTES]
    yield judged(
        "database.lag",
        good=not late,
        found=", ".join(f"{name} {lag:,} B behind" for name, lag in lags.items()) or "nobody to compare",
        why=f"{', '.join(late)} would take long to lead, and lists show what is old",
        what="luckygas db status",
    )
    yield judged(
        "database.quorum_commit",
        good=data["quorum_commit"],
        found=f"quorum commit {'on' if data['quorum_commit'] else 'OFF'}",
        why="a write that was acknowledged may be on one instance alone",
        what="luckygas db status",
    )
    restart = "luckygas db rolling-restart --if-pending; luckygas db restart-pool --if-pending"
    yield of_restarts("database.restart_pending", waiting, restart)


def of_redis(data: Mapping[str, Any]) -> Iterator[Check]:
    """Judge the report of `luckygas redis status`."""
    yield judged(
        "redis.master",
        good=data["master"] is not None,
        found=f"{data['master'] or 'nobody'} is the master",
        why="the service goes on without Redis, degraded",
        what="luckygas redis status",
        severity=CRITICAL,
    )
    lost = [node["name"] for node in data["nodes"] if node["role"] != "master" and node["link"] != "up"]
    yield judged(
        "redis.replicas",
        good=not lost,
        found=f"{len(data['nodes']) - len(lost)} of {len(data['nodes'])} instances serve",
        why=f"{', '.join(lost)} could not take over",
        what="luckygas redis status",
    )
    silent = [one["name"] for one in data["sentinels"] if not one["answers"]]
    yield judged(
        "redis.sentinels",
        good=not silent,
        found=f"{len(data['sentinels']) - len(silent)} of {len(data['sentinels'])} sentinels answer",
        why="with fewer than two nobody replaces a master that fails",
        what="luckygas redis status",
    )
    waiting = [one["name"] for one in (*data["nodes"], *data["sentinels"]) if one["restart_pending"]]
    yield of_restarts("redis.restart_pending", waiting, "luckygas redis rolling-restart --if-pending")


def of_restarts(identifier: str, waiting: Sequence[str], what: str) -> Check:
    """Judge who waits for a restart."""
    return judged(
        identifier,
        good=not waiting,
        found=f"{', '.join(waiting) or 'nobody'} {'wait' if waiting[1:] else 'waits'} for a restart",
        why="replaced programs or new settings are not in force; the weekly window sees to it",
        what=what,
    )


def of_backups(view: View, now: float) -> Iterator[Check]:
    """Judge one look at the repository."""
    newest = view.backups[-1] if view.backups else None
    yield judged(
        "backups.taken",
        good=newest is not None and now - newest.ended <= MAX_AGE_SECONDS,
        found=f"{newest.label}, {ago(now - newest.ended)}" if newest else "there is none",
        why="what was written since then depends on the archive of WAL alone",
        what="luckygas backup",
        severity=CRITICAL,
    )
    good = view.record.last_good()
    none = "the first one is tried in a moment" if view.is_new(now) else "none was ever restored"
    yield judged(
        "backups.proven",
        good=not is_unproven(view, now),
        found=f"{good.label} was restored and found good {ago(now - good.at)}" if good else none,
        why="a backup that was never restored may be of no use",
        what="luckygas backup prove",
    )
    for last in view.record.bad:
        yield Check(
            "backups.proof",
            CRITICAL,
            f"{last.label} ({last.repository}) did not pass: {last.why}",
            "it cannot be relied on",
            "luckygas backup --full && luckygas backup prove",
        )
    age = None if view.archive.newest is None else now - view.archive.newest
    yield judged(
        "backups.archive",
        good=age is not None and age <= MAX_ARCHIVE_AGE_SECONDS and not view.missing,
        found=f"{counted(len(view.missing), 'WAL segment')} missing, the newest {'never' if age is None else ago(age)}",
        why="what is written now could not be restored",
        what="luckygas backups",
        severity=CRITICAL,
    )
    if view.record.copied_at:
        yield judged(
            "backups.copy",
            good=now - view.record.copied_at <= MAX_COPY_AGE_SECONDS,
            found=f"the bucket is as it was {ago(now - view.record.copied_at)}",
            why="the loss of this machine would cost what was written since then",
            what="journalctl -u luckygas-backup-copy",
            severity=CRITICAL,
        )


def of_alerts(rows: list[dict[str, str]], doubt: str | None, judges: str | None) -> Iterator[Check]:
    """Judge what fires, and whether anybody would learn of it; `judges` says what Prometheus does, None is nothing."""
    loud = manager.loud(rows)
    yield Check(
        "alerts.firing",
        manager.gravity(rows),
        ", ".join(row["name"] for row in loud) or "none",
        "; ".join(row["summary"] for row in loud),
        "luckygas alerts" if loud else "",
    )
    yield judged(
        "alerts.judged",
        good=judges is not None,
        found=f"Prometheus {judges or 'does not report to Alertmanager'}",
        why="nothing would fire",
        what="journalctl -u prometheus -u prometheus-alertmanager",
        severity=CRITICAL,
    )
    yield judged(
        "alerts.confirmed",
        good=doubt is None,
        found="a test alert arrived" if doubt is None else "nobody has seen an alert arrive",
        why=doubt or "",
        what="luckygas alerts test",
    )


def of_maintenance(since: float | None, now: float) -> Check:
    """Judge whether requests are turned away on purpose."""
    return judged(
        "edge.maintenance",
        good=since is None,
        found="no" if since is None else f"turned on {ago(now - since)}",
        why="every request gets a 503",
        what="luckygas maintenance off",
    )


def of_trial(name: str, problem: str) -> Check:
    """Judge rules or settings that are on trial."""
    if problem:
        why = "the machine may work by what nobody confirmed"
        found = f"what was before a trial is not in force: {problem}"
        return Check(name, CRITICAL, found, why, f"luckygas {name} revert")
    why = "it takes itself back unless a new connection confirms it"
    return Check(name, WARNING, "what the playbook wants is on trial", why, f"luckygas {name} confirm")


def of_firewall(ssh: str, *, good: bool) -> Check:
    """Judge the rules in the kernel."""
    return judged(
        "firewall",
        good=good,
        found=f"in force, SSH {ssh}" if good else "the rules in the kernel are not those that were confirmed",
        why="what should be dropped may come in",
        what="luckygas firewall apply",
        severity=CRITICAL,
    )


def of_vpn(problem: str, number: int, connected: int) -> Check:
    """Judge the way in for those who administer this machine."""
    return judged(
        "vpn",
        good=not problem,
        found=problem or f"{number} may come in, {connected} connected",
        why="who administers this machine cannot come in, or somebody may who should not",
        what="luckygas vpn apply",
        severity=CRITICAL,
    )


def of_ssh(who: str, warning: str, *, good: bool) -> Check:
    """Judge how one logs in."""
    if good and warning:
        return Check("ssh", WARNING, warning, "the whole world guesses them, day and night", "luckygas ssh")
    return judged(
        "ssh",
        good=good,
        found=who if good else "sshd does not work by the settings that were confirmed",
        why="somebody may log in who should not",
        what="luckygas ssh apply",
    )


def of_secrets(ages: Mapping[str, float], under_way: Sequence[str], not_here: Collection[str]) -> Check:
    """Judge how many days old each secret is, and what is being replaced."""
    if under_way:
        why = "old and new values are both good until it comes to its end"
        found = f"{', '.join(under_way)}: being replaced, or that was interrupted"
        return Check("secrets", WARNING, found, why, "luckygas rotate --continue")
    if not ages:
        return Check("secrets", OK, "the playbook did not come to its end yet")
    oldest = max(ages, key=lambda name: ages[name])
    return judged(
        "secrets",
        good=ages[oldest] <= OLD_SECRET_DAYS,
        found=f"{len(ages)}, the oldest is {counted(round(ages[oldest]), 'day')} old: {oldest}",
        why="the longer one is there, the more have seen it",
        what="luckygas rotate --list" if oldest in not_here else f"luckygas rotate {oldest}",
    )
