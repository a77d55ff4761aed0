"""From one release to another while it serves: prepared beside the old one, then one process after the other."""

import time
from collections.abc import Callable, Sequence

from appliance.backup import watch
from appliance.database.cluster import Cluster
from appliance.database.settings import Settings as DatabaseSettings
from appliance.database.state import Store
from appliance.output import FailedError
from appliance.release import checking, installed, serving
from appliance.release.places import CURRENT, Settings
from appliance.release.serving import NotServingError
from appliance.release.state import FAILED, IN_FORCE, Entry, State
from appliance.system import log

Say = Callable[[str], None]
UP_TO_DATE = "up to date"


def put_in_force(release: str, settings: Settings, *, with_backup: bool, say: Say) -> list[str]:
    """Have every process serve a release with the settings on disk; returns what was changed for that.

    Whatever refuses it before the first process is touched raises RefusedError; later failures lead back to the
    release that served before and raise FailedError.
    """
    began, old = time.time(), installed.current()
    state = State.load()
    if old and not state.last(old):
        state.history.append(Entry(old, began, 0.0, IN_FORCE))  # from before anything was written down
    try:
        checking.tool(release, "check-config")
        pending = prepare(release, old, with_backup=with_backup)
        due = serving.due(release, settings)
        if not pending and not due and old == release:
            return []
        mark = migrate(release, pending, say) if pending else 0.0
        if old not in ("", release):
            say(f"{release}: serves on the side first")
            serving.try_out(release)
        roll(release, old, due, say)
    except BaseException as problem:
        why = str(problem) or type(problem).__name__
        remember(state, Entry(release, began, time.time() - began, FAILED, why))
        if isinstance(problem, NotServingError):
            raise FailedError(f"{problem}; {old or 'nothing'} serves as before") from None
        raise
    installed.point(CURRENT, release)
    remember(state, Entry(release, began, time.time() - began, IN_FORCE, point=mark))
    return [*pending, *due, *([] if old == release else [f"current: {release}"])]


def prepare(release: str, old: str, *, with_backup: bool) -> list[str]:
    """Look, while the old release serves, whether the schema can be brought to this one's; returns what is missing.

    An older release finds what it needs in a newer one's schema, or is refused.
    """
    if old != release:
        checking.require_both_can_serve(old, release)
    pending = [line for line in checking.tool(release, "migrate", "--dry-run").splitlines() if line != UP_TO_DATE]
    if old and (pending or old != release) and with_backup:
        checking.require_backup(time.time())
    return pending


def migrate(release: str, pending: Sequence[str], say: Say) -> float:
    """Bring the schema to a release, what is missing having been tried and undone; returns the moment before."""
    mark = checking.mark_point(watch.leader(Store(), Cluster(DatabaseSettings.load())), release)
    checking.tool(release, "migrate")
    say(f"{release}: {len(pending)} migrations applied")
    return mark


def roll(release: str, old: str, processes: Sequence[str], say: Say) -> None:
    """Give the release to one process after the other; when one is not well, the old one comes back everywhere."""
    touched: list[str] = []
    try:
        for process in processes:
            touched.append(process)
            serving.begin(process, release)
            say(f"{process}: serves {release}")
    except BaseException as problem:
        if not old or old == release:
            raise
        say(f"{touched[-1]}: {problem or type(problem).__name__}; back to {old}")
        went_back = switch_back(old, touched, say)
        if not isinstance(problem, NotServingError):
            raise
        end = f"{old} serves again" if went_back else f"and {old} does not come back everywhere: see luckygas releases"
        raise FailedError(f"{problem}; {end}") from None


def switch_back(old: str, touched: Sequence[str], say: Say) -> bool:
    """Give the old release back to what was touched, the last one first since it does not serve."""
    good = True
    for process in reversed(touched):
        try:
            serving.begin(process, old)
            say(f"{process}: serves {old} again")
        except NotServingError as problem:
            good = False
            say(f"{process}: {problem}")
    return good


def remember(state: State, entry: Entry) -> None:
    """Write down what came of it, for `luckygas releases` and for the journal."""
    log(f"{entry.release}: {entry.outcome} after {entry.seconds:.0f} s{': ' if entry.why else ''}{entry.why}")
    state.history.append(entry)
    state.save()
