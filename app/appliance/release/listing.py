"""What an operator wants to know about releases, and how bad it is."""

from appliance.output import OK, WARNING, Report, local, marked
from appliance.release import installed, serving
from appliance.release.places import INSTANCES, MARK, RELEASES, Settings
from appliance.release.state import FAILED, State


def previous(state: State, current: str) -> str:
    """Return the release that a rollback leads to; nothing where there is none."""
    return next((one for one in state.before(current) if installed.is_installed(one)), "")


def report(settings: Settings) -> Report:
    """Look at what is installed and at what runs."""
    state, current = State.load(), installed.current()
    before = previous(state, current)
    words = {before: "previous", current: "current"}
    rows = []
    for name in installed.names():
        last = state.last(name)
        rows.append(
            {
                "name": name,
                "installed": local((RELEASES / name / MARK).stat().st_mtime),
                "in_force": local(last.at + last.seconds) if last else None,
                "point": local(last.point) if last and last.point else None,
                "is": words.get(name, ""),
            }
        )
    problems = [
        f"{one} does not run {current} with the settings and programs on disk; to mend that: luckygas release"
        for one in serving.due(current, settings)
    ]
    if state.history and state.history[-1].outcome == FAILED:
        last = state.history[-1]
        problems.append(f"{last.release} did not come into force at {local(last.at)}: {last.why}")
    serves = {one: installed.target(INSTANCES / one) for one in serving.processes(settings)}
    data = {"releases": rows, "current": current, "previous": before, "serves": serves, "problems": problems}
    return Report(data, problems, WARNING if problems else OK)


def human(found: Report) -> str:
    """Return the report as a page for the terminal."""
    lines = [f"{'RELEASE':<26}{'':<10}{'INSTALLED':<21}{'IN FORCE SINCE':<21}SCHEMA CHANGED AFTER"]
    for row in found.data["releases"]:  # type: ignore[attr-defined]
        when, point = row["in_force"] or "never", row["point"] or "-"
        lines.append(f"{row['name']:<26}{row['is']:<10}{row['installed'][:19]:<21}{when[:19]:<21}{point[:19]}")
    lines += marked(found.problems)
    return "\n".join(lines)
