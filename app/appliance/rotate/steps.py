"""The three steps of a change. Each may be done again, and between any two of them all that serves gets in.

1. `both`: whoever checks a password takes the old one and the new one where it can, and the service knows both.
2. `switch`: whoever checks takes the new one; what only measures is told, too.
3. `end`: the service forgets the old one, and Redis refuses it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.output import FailedError, RefusedError
from appliance.redis import live
from appliance.redis import restarts as redis
from appliance.redis.cluster import Cluster as RedisCluster
from appliance.redis.settings import Settings as RedisSettings
from appliance.release import installed, rolling
from appliance.release.commands import BUSY
from appliance.release.places import LOCK as RELEASES
from appliance.release.places import Settings as ReleaseSettings
from appliance.rotate import files, roles
from appliance.rotate.secrets import PEPPER, SECRETS, VPN_KEY, Secret
from appliance.rotate.state import Change, State
from appliance.system import BusyError, locked, run
from appliance.units import is_older_than_its_files, properties
from appliance.vpn import commands as vpn
from appliance.vpn import peers

CREDENTIALS = Path("/etc/luckygas/credentials")
REDIS_FILES = ("/etc/redis/managed/*.wanted", "/etc/redis/managed/*.conf")
REDIS_ADMIN_FILES = ("/etc/luckygas/redis.json", "/etc/luckygas/redis_sentinel.json")
POOL_FILES = ("/etc/pgbouncer/observers.txt",)
EXPORTERS = Path("/etc/luckygas/exporters")
VPN_FILES = ("/etc/luckygas/vpn.json",)

Say = Callable[[str], None]
Changes = dict[str, Change]


def both(changes: Changes, say: Say) -> None:
    """Have the old value and the new one be good, and the service know both."""
    if any(name.startswith("redis_") for name in changes):
        files.replace(REDIS_FILES, changes.values())
        live.apply(RedisCluster(RedisSettings.load()))
        files.replace(REDIS_ADMIN_FILES, changes.values())
        say("Redis takes the old and the new passwords")
    lines = {name: [change.old, *change.new.splitlines()] for name, change in changes.items() if SECRETS[name].several}
    hand_out(changes, {name: "\n".join(dict.fromkeys(each)) for name, each in lines.items()})


def switch(changes: Changes, say: Say) -> None:
    """Have the new value be the good one for those who know only one."""
    of_roles = {SECRETS[name].role: change.new for name, change in changes.items() if SECRETS[name].role}
    if of_roles:
        roles.give(of_roles)
        say("PostgreSQL takes the new passwords")
    if files.replace(POOL_FILES, changes.values()) or "pool_exporter_password" in changes:
        roles.reload_pool()
    files.replace([f"{EXPORTERS}/*/*"], changes.values())
    for place in sorted(EXPORTERS.glob("*")):
        renew_exporter(place)
    if VPN_KEY in changes:
        files.replace(VPN_FILES, changes.values())
        with vpn.alone():
            known = peers.load()
            vpn.keep(peers.Settings.load(), known, known)
        say("the VPN has another key: every device needs `luckygas vpn show NAME` anew")


def end(changes: Changes, say: Say) -> None:
    """Have nothing take or know the old value any more, but for a pepper, with which digests may still be made."""
    hand_out(changes, {})
    if any(name.startswith("redis_") for name in changes):
        redis.retire(RedisCluster(RedisSettings.load()))
    for name, change in changes.items():
        files.write(SECRETS[name].file, f"{change.new}\n")
    say("nothing takes or knows the old values any more")


STEPS = {"both": both, "switch": switch, "end": end}


def hand_out(changes: Changes, instead: dict[str, str]) -> None:
    """Give the service its credentials, one process after the other; `instead` of the new value what stands there."""
    handed = [name for name in changes if SECRETS[name].handed]
    if not handed:
        return
    for name in handed:
        files.write(CREDENTIALS / name, instead.get(name, changes[name].new))
    # Even when the files are as they should be: who was interrupted may not have come to the processes.
    with locked(RELEASES, 60.0, BUSY):
        rolling.put_in_force(installed.current(), ReleaseSettings.load(), with_backup=False, say=lambda _: None)


def renew_exporter(place: Path) -> None:
    """Restart an exporter that was begun before its secrets were changed."""
    unit = f"prometheus-{place.name}-exporter.service"
    state = properties(unit)
    if state["ActiveState"] == "active" and is_older_than_its_files(state, [f"{place}/*"]):
        done = run(["systemctl", "restart", unit], timeout=60)
        if done.returncode:
            raise FailedError(f"systemctl restart {unit}: {done.stderr.strip()}; journalctl -u {unit}")


def plan(wanted: Iterable[Secret]) -> Changes:
    """Return what is to become of each, having looked whether that can be done; nothing was changed yet."""
    changes = {}
    for secret in wanted:
        old = secret.value
        if len(old) < secret.length:
            raise RefusedError(f"{secret.file} holds no value that was made by the playbook; run the playbook first")
        if secret.name == PEPPER and "\n" in old:
            raise RefusedError(
                f"{PEPPER}: the digests of some API keys are still made with the former one; "
                f"luckygas rotate {PEPPER} --end says whose, and ends it"
            )
        if secret.handed and (CREDENTIALS / secret.name).read_text().rstrip("\n") != old:
            raise RefusedError(f"{secret.name}: the service has another one than {secret.file}; run the playbook first")
        new = secret.new_value()
        changes[secret.name] = Change(old, f"{new}\n{old}" if secret.name == PEPPER else new)
    if any(SECRETS[name].handed for name in changes) and not installed.current():
        raise RefusedError("no release of the service is installed yet; run the whole playbook first")
    if any(SECRETS[name].role for name in changes):
        roles.leader()
    if any(name.startswith("redis_") for name in changes):
        RedisCluster(RedisSettings.load()).find_master()
    if VPN_KEY in changes and peers.load() and vpn.is_vpn_only():
        raise RefusedError(
            f"{VPN_KEY}: SSH is open to the VPN alone, and with another key no device would find this machine. "
            "Set site_ssh to public or admin-nets and run the playbook first"
        )
    return changes


def work(state: State, say: Say) -> None:
    """Do what is left of a change."""
    names = list(STEPS)
    for name in names[names.index(state.step) :]:
        if name != state.step:
            state.step = name
            state.save()
        try:
            STEPS[name](state.changes, say)
        except (BusyError, RefusedError) as problem:
            raise FailedError(str(problem)) from None
    state.end()
