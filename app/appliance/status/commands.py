"""`luckygas status`: everything on one screen. Exit codes: 0 good, 1 warning, 2 critical."""

import argparse
import time
from collections.abc import Callable, Iterator

from appliance.alerts import commands as alerts
from appliance.alerts import manager
from appliance.alerts.record import Record
from appliance.backup import watch
from appliance.database import pool
from appliance.database import restarts as database_restarts
from appliance.database import status as database_status
from appliance.database.cluster import Cluster
from appliance.database.settings import Settings
from appliance.database.state import Store
from appliance.edge import maintenance
from appliance.firewall import rules
from appliance.output import CRITICAL, OK, WARNING, answer
from appliance.redis import restarts as redis_restarts
from appliance.redis import status as redis_status
from appliance.redis import users
from appliance.redis.cluster import Cluster as RedisCluster
from appliance.redis.settings import Settings as RedisSettings
from appliance.rotate.secrets import SECRETS, ages
from appliance.rotate.state import State
from appliance.ssh.commands import Ssh
from appliance.status import machine, parts
from appliance.status.check import STATES, Check
from appliance.trial.engine import Trials
from appliance.units import properties, started
from appliance.vpn import peers, wireguard

# Prometheus judges first and learns of Alertmanager then, which forgets; and says what fires again after a minute.
SILENT_SECONDS = 120
MARKS = {OK: "  ", WARNING: "! ", CRITICAL: "!!"}


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    text = "show how everything is: services, who leads, backups, alerts, disks, versions"
    parser = verbs.add_parser("status", help=text, description=text)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything."""
    checks = look()
    severity = max(check.severity for check in checks)
    versions = machine.versions()
    data = {"state": STATES[severity], "checks": [check.data for check in checks], "versions": versions}
    answer(arguments, data, human(checks, severity, versions))
    return severity


def look() -> list[Check]:
    """Return every check. A part that cannot be looked at is one that is critical, and hides no other."""
    return [check for name in PARTS for check in look_at(name)]


def look_at(name: str) -> list[Check]:
    """Return the checks of one part."""
    found: list[Check] = []
    try:
        found.extend(PARTS[name]())
    except Exception as problem:  # noqa: BLE001 - whatever it is, it must not hide the rest
        why = "its state is unknown, and may be bad"
        found.append(Check(name, CRITICAL, f"cannot be looked at: {problem}", why, f"journalctl -b | grep -i {name}"))
    return found


def database() -> Iterator[Check]:
    """Look at PostgreSQL and its pool."""
    cluster = Cluster(Settings.load())
    nodes = cluster.look()
    ports = {name: instance.port for name, instance in cluster.instances.items()}
    pending = database_restarts.pending(cluster, nodes)
    report = database_status.report(Store().load(), nodes, ports, pending, pool_pending=pool.restart_pending())
    yield from parts.of_database(report.data)


def redis() -> Iterator[Check]:
    """Look at Redis and its sentinels."""
    cluster = RedisCluster(RedisSettings.load())
    report = redis_status.report(
        cluster.settings, cluster.look(), cluster.witnesses(), redis_restarts.pending(cluster), users.replaced()
    )
    yield from parts.of_redis(report.data)


def backups() -> Iterator[Check]:
    """Look at the repository."""
    yield from parts.of_backups(watch.look(watch.leader(Store(), Cluster(Settings.load()))), time.time())


def alerting() -> Iterator[Check]:
    """Look at what fires, and whether anybody would learn of it."""
    settings = manager.Settings.load()
    judges = None
    if manager.is_watched(settings):
        judges = "judges"
    elif any(has_just_begun(unit) for unit in ("prometheus", "prometheus-alertmanager")):
        judges = "begins"
    yield from parts.of_alerts(manager.firing(settings), alerts.doubt(settings, Record.load()), judges)


def has_just_begun(unit: str) -> bool:
    """Tell whether a unit runs since so short a time that nothing was heard of it yet."""
    found = properties(unit)
    return found["ActiveState"] == "active" and time.time() - started(found) < SILENT_SECONDS


def edge() -> Iterator[Check]:
    """Look whether requests are let through."""
    yield parts.of_maintenance(maintenance.since(), time.time())


def firewall() -> Iterator[Check]:
    """Look at the rules in the kernel."""
    if trial := Trials().pending("firewall"):
        yield parts.of_trial(trial.name, trial.problem)
    else:
        yield parts.of_firewall(rules.Settings.load().ssh, good=rules.is_in_force())


def vpn() -> Iterator[Check]:
    """Look whether those may come in by the VPN who should, and nobody else."""
    settings, known = peers.Settings.load(), peers.load()
    live = wireguard.look(settings)
    connected = len(wireguard.connected(live, time.time())) if live else 0
    yield parts.of_vpn(wireguard.problem(settings, known, live), len(known), connected)


def ssh() -> Iterator[Check]:
    """Look at how one logs in."""
    of = Ssh()
    if trial := Trials().pending(of.name):
        yield parts.of_trial(trial.name, trial.problem)
    else:
        yield parts.of_ssh(of.words(), of.warning(), good=of.is_in_force())


def secrets() -> Iterator[Check]:
    """Look how old what nobody may know is, and whether it was replaced to the end."""
    not_here = {one.name for one in SECRETS.values() if one.not_here}
    yield parts.of_secrets(ages(), list(State.load().changes), not_here)


PARTS: dict[str, Callable[[], Iterator[Check]]] = {
    "services": machine.units,
    "service": machine.service,
    "edge": edge,
    "database": database,
    "redis": redis,
    "backups": backups,
    "alerts": alerting,
    "firewall": firewall,
    "vpn": vpn,
    "ssh": ssh,
    "secrets": secrets,
    "certificate": machine.certificate,
    "disk": machine.disks,
    "machine": machine.restart,
}

# What the checks of the parts are called, but for those of each web instance: some are there only when they are wrong.
IDS = (
    *("services", "edge.maintenance", "firewall", "vpn", "ssh", "secrets", "certificate", "machine.restart_pending"),
    *("database.leader", "database.last_change", "database.phase", "database.standbys", "database.lag"),
    *("database.quorum_commit", "database.restart_pending"),
    *("redis.master", "redis.replicas", "redis.sentinels", "redis.restart_pending"),
    *("backups.taken", "backups.proven", "backups.proof", "backups.archive", "backups.copy"),
    *("alerts.firing", "alerts.judged", "alerts.confirmed"),
    *(f"disk.{place}" for place in machine.DATA),
)


def human(checks: list[Check], severity: int, versions: dict[str, str]) -> str:
    """Return the page for the terminal."""
    told = [f"Lucky Gas: {STATES[severity].upper()}", "", *(line for check in checks for line in lines(check))]
    return "\n".join([*told, "", "  ".join(f"{name} {version}" for name, version in versions.items())])


def lines(check: Check) -> list[str]:
    """Return one check for the terminal: what was found, and where something is wrong, why and the way out."""
    found = f"{MARKS[check.severity]} {check.id:<26}{check.found}"
    return [found, f"{'':30}{check.why}", f"{'':30}type: {check.type}"] if check.severity else [found]
