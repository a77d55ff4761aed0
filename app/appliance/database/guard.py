"""Asked by systemd before every start of an instance, whoever wants it: boot, package upgrade, a human."""

from appliance.database.machine import may_start
from appliance.database.settings import VERSION, Settings
from appliance.database.state import NoStateError, Store


def refusal(settings: Settings, store: Store, unit_instance: str) -> str | None:
    """Return why `17-pg1` must not be started, None if it may."""
    version, _, name = unit_instance.partition("-")
    if version != VERSION or name not in settings.instances:
        return None  # a cluster that is not the appliance's
    standby = settings.instances[name].is_standby
    try:
        return may_start(store.load(), name, standby=standby)
    except NoStateError as problem:
        # A standby cannot become a second primary, and is better up than down.
        return None if standby else str(problem)
