"""Redis as it is for one process while it is away, and when it is back."""

from luckygas.suspicion.standings import Standings
from luckygas.web.quota import Quota


def cut_off(one: Quota | Standings) -> None:
    """Take Redis away from one process, for as long as the test likes."""
    volatile = one._volatile  # noqa: SLF001
    volatile.close()
    volatile._is_away, volatile._rests_until = True, float("inf")  # noqa: SLF001


def reconnect(one: Quota | Standings) -> None:
    """Let it ask again."""
    volatile = one._volatile  # noqa: SLF001
    volatile._is_away, volatile._rests_until = None, 0  # noqa: SLF001
