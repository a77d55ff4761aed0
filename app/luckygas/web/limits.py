"""How often somebody may ask: each key by its tier, each person, and each address that shows neither.

Every route costs something. Some have limits of their own beside that. Health costs nothing, and neither does who asks
from this very machine without saying who they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flask import Flask, Response, current_app, g, request

from luckygas.access import Principal, Role, Tier
from luckygas.errors import Problem
from luckygas.resources import Resources
from luckygas.suspicion.subjects import network_of, subject_at
from luckygas.suspicion.watch import Watch
from luckygas.web.quota import Quota
from luckygas.web.suspects import watch_of
from luckygas.web.windows import Charge, State, Verdict, Window


def _minute_and_hour(minute: int, hour: int) -> tuple[Window, Window]:
    return Window("minute", minute, 60), Window("hour", hour, 3600)


TIERS: Final[Mapping[Tier, tuple[Window, Window]]] = {
    Tier.BASIC: _minute_and_hour(20, 100),
    Tier.STANDARD: _minute_and_hour(100, 1000),
    Tier.PREMIUM: _minute_and_hour(500, 10_000),
    Tier.ENTERPRISE: _minute_and_hour(2000, 100_000),
}
ROLE_FACTORS: Final[Mapping[Role, int]] = {Role.ADMIN: 5, Role.DISPATCHER: 2}
"""By how much a role multiplies all limits; 1 where nothing is said."""
ANONYMOUS: Final = _minute_and_hour(60, 600)

LOG_IN: Final = (Window("log-in-minute", 10, 60), Window("log-in-hour", 50, 3600))
SEARCH: Final = (Window("search-minute", 60, 60),)

_LEASED_TIERS: Final = frozenset({Tier.PREMIUM, Tier.ENTERPRISE})
_LEASES_A_MINUTE: Final = 200


class RateLimited(Problem):
    """The caller has used up what it may ask for."""

    status, code, title = 429, "rate_limited", "Too many requests"


@dataclass(frozen=True, slots=True)
class Price:
    """What a request to a route takes: `cost` of the caller's limits, and 1 of each of the route's `own`."""

    cost: int = 1
    own: Sequence[Window] = ()


EXPORT: Final = Price(20, own=(Window("export-minute", 6, 60), Window("export-hour", 30, 3600)))
"""What a whole file costs, whichever route sends it."""


class Limits:
    """Holds what the limits of one process stand on."""

    def __init__(self, resources: Resources, watch: Watch) -> None:
        """Prepare; nothing is asked before the first request. `watch` knows who pays more, or is kept out."""
        self._watch = watch
        settings = resources.settings
        self.quota = Quota(resources.volatile, processes=settings.web_instances * settings.web_workers)

    @classmethod
    def of(cls, app: Flask) -> "Limits":
        """Return what `register` gave to this app."""
        return app.extensions["luckygas.limits"]

    def charge(self, principal: Principal, price: Price) -> None:
        """Take what this request costs from its caller, or raise `RateLimited` or what keeps them out."""
        factor = self._watch.admit(principal.id)
        if price.cost:
            cost = _raised(price.cost, factor, TIERS[principal.tier][0])
            charges, lease = _charges(principal.tier, principal.role, cost, tuple(price.own))
            _judge(self.quota.take(principal.id, charges, lease=lease))

    def charge_address(self, price: Price) -> None:
        """Take what this request costs from the address that it came from, or raise `RateLimited`."""
        if price.cost and (network := network_of(request.remote_addr)) is not None:
            subject = subject_at(network)
            cost = _raised(price.cost, self._watch.admit(subject), ANONYMOUS[0])
            charges = [Charge(window, cost) for window in ANONYMOUS]
            charges += [Charge(window, 1) for window in price.own]
            _judge(self.quota.take(subject, charges))

    def charge_caller(self, price: Price) -> None:
        """Take what this request costs from whoever is known to have sent it, or else from their address."""
        if "principal" in g:
            self.charge(g.principal, price)
        else:
            self.charge_address(price)


@lru_cache(maxsize=1024)
def _charges(tier: Tier, role: Role, cost: int, own: tuple[Window, ...]) -> tuple[list[Charge], int]:
    """Return what a request takes, and how many tokens to take beside while plenty are left."""
    factor = ROLE_FACTORS.get(role, 1)
    windows = [window._replace(limit=window.limit * factor) for window in (*TIERS[tier], *own)]
    # With limits of their own, routes cost differently, and they are rare: each of those requests is counted by itself.
    lease = windows[0].limit // _LEASES_A_MINUTE if tier in _LEASED_TIERS and not own else 0
    costs = [cost] * len(TIERS[tier]) + [1] * len(own)
    return [Charge(window, each) for window, each in zip(windows, costs, strict=True)], lease


def _raised(cost: int, factor: int, window: Window) -> int:
    """Return what a request costs who pays `factor` times as much: never more than they could ever have left."""
    return cost if factor == 1 else max(cost, min(cost * factor, window.limit))


def _judge(verdict: Verdict) -> None:
    g.rate_limit = verdict.states
    if verdict.allowed:
        return
    seconds = max(state.seconds for state in verdict.lacking)
    names = " and ".join(f"{window.limit} in {_spoken(window.seconds)}" for window, _, _ in verdict.lacking)
    raise RateLimited(
        f"the limit is {names}: wait {seconds} seconds, then send the request again",
        headers={"Retry-After": str(max(1, seconds))},
    )


def _spoken(seconds: int) -> str:
    return {60: "a minute", 3600: "an hour"}[seconds]


def register(app: Flask) -> None:
    """Give `app` its limits; a request to no route costs its address something, too."""
    app.extensions["luckygas.limits"] = Limits(Resources.of(app), watch_of(app))
    app.before_request(_charge_if_lost)
    app.after_request(_tell)


def _charge_if_lost() -> None:
    if request.routing_exception is not None:
        Limits.of(current_app).charge_address(Price())


def _tell(response: Response) -> Response:
    """Add the headers of draft-ietf-httpapi-ratelimit-headers, but not to what caches give to others, too."""
    if (states := g.get("rate_limit")) is not None and "public" not in response.headers.get("Cache-Control", ""):
        response.headers.add("RateLimit-Policy", ", ".join(_policy(window) for window, _, _ in states))
        response.headers.add("RateLimit", ", ".join(_left(state) for state in states))
    return response


@lru_cache(maxsize=1024)
def _policy(window: Window) -> str:
    return f'"{window.name}";q={window.limit};w={window.seconds}'


def _left(state: State) -> str:
    window, remaining, seconds = state
    return f'"{window.name}";r={remaining};t={max(0, seconds)}'
