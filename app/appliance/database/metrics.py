"""What the node exporter reads from a file: who leads, who streams, who waits for a restart."""

import contextlib

from appliance.database import restarts
from appliance.database.cluster import Cluster
from appliance.database.machine import Nodes
from appliance.database.state import PHASES, State
from appliance.system import write_file

HELP = {
    "luckygas_database_epoch": "How often the primary has changed, plus one.",
    "luckygas_database_phase": "1 for the phase that the failover program is in.",
    "luckygas_database_quorum_commit": "1 while an acknowledged write is on two instances.",
    "luckygas_database_leads": "1 for the instance that leads.",
    "luckygas_database_up": "1 when the instance answers.",
    "luckygas_database_streams": "1 when the standby streams.",
    "luckygas_database_fenced": "1 when the instance must not run until it was rejoined.",
    "luckygas_database_lag_bytes": "How much of the primary's WAL the standby has not received.",
    "luckygas_database_restart_pending": "1 when the instance runs with replaced binaries or old settings.",
}


def render(state: State, nodes: Nodes, pending: list[str]) -> str:
    """Return the metrics in the text format."""
    leader = nodes[state.primary]
    samples: dict[str, list[tuple[str, float]]] = {
        "luckygas_database_epoch": [("", state.epoch)],
        "luckygas_database_phase": [(f'{{phase="{phase}"}}', phase == state.phase) for phase in PHASES],
        "luckygas_database_quorum_commit": [("", state.quorum)],
    }
    for name, node in nodes.items():
        label = f'{{instance_name="{name}"}}'
        for metric, value in {
            "leads": name == state.primary and node.primary,
            "up": node.answers,
            "streams": node.streams,
            "fenced": name in state.fenced,
            "restart_pending": name in pending,
        }.items():
            samples.setdefault(f"luckygas_database_{metric}", []).append((label, value))
        if node.answers and leader.primary and name != state.primary:
            lag = max(0, leader.position - node.position)
            samples.setdefault("luckygas_database_lag_bytes", []).append((label, lag))
    lines = []
    for metric, values in samples.items():
        lines += [f"# HELP {metric} {HELP[metric]}", f"# TYPE {metric} gauge"]
        lines += [
            f"{metric}{label} {value:g}" if isinstance(value, float) else f"{metric}{label} {int(value)}"
            for label, value in values
        ]
    return "\n".join(lines) + "\n"


def write(cluster: Cluster, state: State, nodes: Nodes) -> None:
    """Replace the file. A full disk must not end the supervisor."""
    with contextlib.suppress(OSError):
        write_file(
            cluster.settings.metrics_file,
            render(state, nodes, restarts.pending(cluster, nodes)),
            mode=0o644,
            durable=False,
        )
