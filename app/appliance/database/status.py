"""What an operator wants to know about the database, and how bad it is."""

from collections.abc import Mapping

from appliance.database.machine import Nodes
from appliance.database.state import STABLE, State
from appliance.output import CRITICAL, OK, WARNING, Report, marked, yes


def role(name: str, nodes: Nodes) -> str:
    """Return what an instance is at this moment."""
    node = nodes[name]
    if node.answers:
        return "primary" if node.primary else "standby"
    if node.processes:
        return "starting" if node.starting else "hangs"
    return "down"


def report(
    state: State, nodes: Nodes, ports: Mapping[str, int], pending: list[str], *, pool_pending: bool = False
) -> Report:
    """Judge the state and one look."""
    leader = nodes[state.primary]
    rows, problems = [], []
    for name, node in nodes.items():
        known = leader.primary and node.answers and name != state.primary
        row = {
            "name": name,
            "port": ports[name],
            "role": role(name, nodes),
            "streaming": node.streams and node.upstream == state.primary,
            "fenced": name in state.fenced,
            "lag_bytes": max(0, leader.position - node.position) if known else None,
            "restart_pending": name in pending,
        }
        rows.append(row)
        if name in state.fenced:
            problems.append(
                f"{name} is fenced: {state.fenced[name]}. It rejoins by itself; "
                f"to see to it now: luckygas db rejoin {name}"
            )
        elif name != state.primary and not row["streaming"]:
            problems.append(
                f"{name} ({row['role']}) does not stream from {state.primary}. "
                f"It is repaired by itself; to see to it now: luckygas db rejoin {name}"
            )
    if not state.quorum:
        problems.append(
            f"an acknowledged write may be on {state.primary} alone, until a standby has confirmed that it holds all"
        )
    if state.phase != STABLE:
        problems.append(
            f"a {state.phase} is under way since epoch {state.epoch} ({state.reason}); it goes on by itself"
        )
    problems += [
        f"{name} runs with replaced binaries or old settings; in the weekly window, or now: luckygas db rolling-restart"
        for name in pending
    ]
    if pool_pending:
        problems.append(
            "the pool runs with a replaced program; in the weekly window, or now (clients connect again): "
            "luckygas db restart-pool"
        )
    severity = WARNING if problems else OK
    if not leader.primary:
        problems.insert(
            0,
            f"no instance takes writes: {state.primary} is to lead and {role(state.primary, nodes)}; "
            f"see: journalctl -t luckygas-db. When all data is gone: luckygas restore --latest --into production",
        )
        severity = CRITICAL
    data = {
        "primary": state.primary if leader.primary else None,
        "primary_port": ports[state.primary] if leader.primary else None,
        "appointed": state.primary,
        "phase": state.phase,
        "epoch": state.epoch,
        "last_change": dict(state.last),
        "quorum_commit": state.quorum,
        "nodes": rows,
        "pool": {"restart_pending": pool_pending},
        "problems": problems,
    }
    return Report(data, problems, severity)


def human(found: Report) -> str:
    """Return the report as a page for the terminal."""
    data = found.data
    quorum_commit = "on" if data["quorum_commit"] else "OFF"
    leader = data["primary"] or "-"
    first = f"primary {leader}   quorum commit {quorum_commit}   phase {data['phase']}   epoch {data['epoch']}"
    lines = [first, ""]
    lines.append(f"{'INSTANCE':<10}{'PORT':<7}{'ROLE':<10}{'STREAMS':<9}{'FENCED':<8}{'LAG':>12}  RESTART PENDING")
    for row in found.data["nodes"]:  # type: ignore[attr-defined]
        lag = "-" if row["lag_bytes"] is None else f"{row['lag_bytes']:,} B"
        streams = "-" if row["role"] == "primary" else yes(row["streaming"])
        lines.append(
            f"{row['name']:<10}{row['port']:<7}{row['role']:<10}{streams:<9}"
            f"{yes(row['fenced']):<8}{lag:>12}  {yes(row['restart_pending'])}"
        )
    lines += marked(found.problems)
    return "\n".join(lines)
