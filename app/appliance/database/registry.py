"""What repmgr believes, brought in line with the state. repmgr may be absent: nothing here decides anything."""

from appliance.database import postgres
from appliance.database.settings import Settings
from appliance.database.state import State
from appliance.system import log


def statements(settings: Settings, state: State) -> list[str]:
    """Return the SQL that writes the state into repmgr's table; it waits for no standby."""
    leader = settings.instances[state.primary].number
    changes = []
    for one in settings.instances.values():
        kind, upstream = ("primary", "NULL") if one.number == leader else ("standby", str(leader))
        active = "false" if one.name in state.fenced else "true"
        changes.append(
            f"UPDATE repmgr.nodes SET type = '{kind}', upstream_node_id = {upstream}, active = {active}"
            f" WHERE node_id = {one.number}"
            f" AND (type, upstream_node_id, active) IS DISTINCT FROM ('{kind}', {upstream}, {active})",
        )
    # First all standbys: the table allows one active primary only.
    changes.sort(key=lambda change: "type = 'primary'" in change)
    return ["SET synchronous_commit = local", *changes]


def record(settings: Settings, state: State) -> None:
    """Bring repmgr's table in line with the state."""
    result = postgres.psql(
        settings.instances[state.primary].port, *statements(settings, state), timeout=3.0, database="repmgr"
    )
    if result.returncode and "does not exist" not in result.stderr:
        log(f"repmgr's table was not updated: {result.stderr.strip()}")
