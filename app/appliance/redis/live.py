"""Bringing servers to the users that are wanted and the settings on disk, without a restart."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from appliance.redis import users
from appliance.redis.cluster import Cluster
from appliance.redis.protocol import Connection, ReplyError, SilentError
from appliance.redis.settings import WATCHED, Server


def read(file: Path) -> dict[str, str]:
    """Return the settings of a file; of those that stand there twice, the last one."""
    found = {}
    for line in file.read_text().splitlines():
        if line and not line.startswith("#"):
            words = shlex.split(line)
            if words[0] == "sentinel":
                words = [f"{words[0]} {words[1]}", *(words[3:] if words[2] == WATCHED else words[2:])]
            found[words[0]] = " ".join(words[1:])
    return found


def in_force(ask: Connection, server: Server, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the values with which the server runs, as far as it tells them."""
    if server.kind == "redis":
        return {name: ask.table("CONFIG", "GET", name).get(name, "") for name in wanted}
    told = {f"sentinel {name}": value for name, value in ask.table("SENTINEL", "MASTER", WATCHED).items()}
    own = {f"sentinel {name}": value for name, value in ask.table("SENTINEL", "CONFIG", "GET", "*").items()}
    # How it gets into the instances it tells nobody, but writes down.
    return read(server.state) | told | own


def differing(ask: Connection, server: Server) -> dict[str, str]:
    """Return the settings on disk with which the server does not run yet."""
    wanted = read(server.managed)
    if server.kind == "sentinel":
        wanted = {name: value for name, value in wanted.items() if name.startswith("sentinel ")}
    has = in_force(ask, server, wanted)
    return {name: value for name, value in wanted.items() if has.get(name) != value}


def change(ask: Connection, server: Server, name: str, value: str) -> bool:
    """Change one setting; False when that takes a restart."""
    option = name.removeprefix("sentinel ")
    if server.kind == "redis":
        command = ["CONFIG", "SET", name, value]
    elif option.startswith("sentinel-"):
        command = ["SENTINEL", "CONFIG", "SET", option, value]
    else:
        command = ["SENTINEL", "SET", WATCHED, option, value]
    try:
        ask(*command)
    except ReplyError:
        return False
    return True


def load_users(ask: Connection) -> bool:
    """Have the server read its users; True when that changed any. A file with a mistake leaves all as it is."""
    before = ask("ACL", "LIST")
    ask("ACL", "LOAD")
    return ask("ACL", "LIST") != before


def apply(cluster: Cluster, *, keep_former: bool = True) -> dict[str, list[str]]:
    """Bring all to what is wanted: first every user, then who uses them. Return what changed, by file and by unit."""
    changed = {str(file): ["users"] for file in users.FILES if users.write(file, keep_former=keep_former)}
    running = [server for server in cluster.settings.servers if server.managed.exists() and runs(cluster, server)]
    for server in running:
        with cluster.connect(server) as ask:
            if load_users(ask):
                changed.setdefault(server.unit, []).append("users")
    for server in running:
        with cluster.connect(server) as ask:
            for name, value in differing(ask, server).items():
                if change(ask, server, name, value):
                    changed.setdefault(server.unit, []).append(name)
    return changed


def runs(cluster: Cluster, server: Server) -> bool:
    """Tell whether a server is there to be changed; one that is not reads everything when it starts."""
    try:
        with cluster.connect(server) as ask:
            ask("PING")
    except SilentError:
        return False
    return True
