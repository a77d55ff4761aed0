"""What an operator wants to know about Redis, and how bad it is."""

from appliance.output import CRITICAL, OK, WARNING, Report, marked, yes
from appliance.redis.cluster import Node, Witness, master
from appliance.redis.settings import QUORUM, Settings


def report(
    settings: Settings, nodes: dict[str, Node], witnesses: dict[str, Witness], pending: list[str], replaced: list[str]
) -> Report:
    """Judge one look."""
    known = master(nodes, witnesses.values())
    leads = known if known and nodes[known].role == "master" else None
    rows = [
        {
            "name": name,
            "role": node.role,
            "link": None if node.role == "master" else "up" if node.linked else "down",
            "lag_bytes": max(0, nodes[leads].offset - node.offset) if leads and node.role == "replica" else None,
            "restart_pending": settings.instances[name].unit in pending,
        }
        for name, node in nodes.items()
    ]
    watching = [
        {
            "name": name,
            "answers": witness.answers,
            "master": witness.master,
            "restart_pending": settings.sentinels[name].unit in pending,
        }
        for name, witness in witnesses.items()
    ]
    problems = [
        *(of_node(settings, name, node, leads) for name, node in nodes.items()),
        *(of_witness(settings, name, witness, known) for name, witness in witnesses.items()),
        *(
            f"{unit} runs with replaced binaries or old settings; in the weekly window, or now: "
            f"luckygas redis rolling-restart --if-pending"
            for unit in pending
        ),
        *(
            f"a replaced password of {user} is still valid; a whole run of the playbook ends it, or now: "
            f"luckygas redis retire"
            for user in replaced
        ),
    ]
    problems = [problem for problem in problems if problem]
    alive = sum(witness.answers for witness in witnesses.values())
    if witnesses and alive < QUORUM:
        problems.insert(0, f"{alive} of {len(witnesses)} sentinels answer: nobody would replace a master that fails")
    severity = WARNING if problems else OK
    if leads is None or (witnesses and not alive):
        problems.insert(0, "clients find no master: the service goes on without Redis, degraded")
        severity = CRITICAL
    return Report({"master": leads, "nodes": rows, "sentinels": watching, "problems": problems}, problems, severity)


def of_node(settings: Settings, name: str, node: Node, leads: str | None) -> str | None:
    """Return what is wrong with an instance."""
    unit = settings.instances[name].unit
    if node.role == "master":
        extra = f"{name} is a master that the sentinels do not name; within ten seconds they make it a replica"
        return None if name == leads else extra
    if node.role == "replica" and not node.linked:
        return f"{name} has lost its link to {node.upstream}; it tries again by itself"
    if node.role == "replica":
        elsewhere = f"{name} follows {node.upstream}, not {leads}; within ten seconds the sentinels correct it"
        return None if node.upstream == leads else elsewhere
    return {
        "loading": f"{name} reads its data, and serves when it is done",
        "down": f"{name} does not run; see: journalctl -u {unit}. "
        f"If it cannot read its data, this takes a copy of the master's: luckygas redis rejoin {name}",
    }.get(node.role, f"{name} {node.role}; see: journalctl -u {unit}, then: systemctl restart {unit}")


def of_witness(settings: Settings, name: str, witness: Witness, known: str | None) -> str | None:
    """Return what is wrong with a sentinel."""
    unit = settings.sentinels[name].unit
    if not witness.answers:
        return f"sentinel {name} does not answer; see: journalctl -u {unit}"
    if witness.master != known:
        return f"sentinel {name} holds {witness.master} for the master; the others tell it within seconds"
    return None


def human(found: Report) -> str:
    """Return the report as a page for the terminal."""
    lines = [f"master {found.data['master'] or '-'}", ""]
    lines.append(f"{'INSTANCE':<10}{'ROLE':<10}{'LINK':<6}{'LAG':>12}  RESTART PENDING")
    for row in found.data["nodes"]:  # type: ignore[attr-defined]
        lag = "-" if row["lag_bytes"] is None else f"{row['lag_bytes']:,} B"
        lines.append(
            f"{row['name']:<10}{row['role']:<10}{row['link'] or '-':<6}{lag:>12}  {yes(row['restart_pending'])}"
        )
    lines += ["", f"{'SENTINEL':<10}{'ANSWERS':<10}{'MASTER':<18}  RESTART PENDING"]
    for row in found.data["sentinels"]:  # type: ignore[attr-defined]
        lines.append(
            f"{row['name']:<10}{yes(row['answers']):<10}{row['master'] or '-':<18}  {yes(row['restart_pending'])}"
        )
    lines += marked(found.problems)
    return "\n".join(lines)
