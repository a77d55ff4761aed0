"""The only way to make a route: it cannot be made without saying who may use it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, override

from apiflask import APIBlueprint

from luckygas.access import Access
from luckygas.db.session import transaction
from luckygas.web import validation
from luckygas.web.auth import authorise

type View = Callable[..., Any]

# Here, since every route comes by before it is decorated.
validation.register()


class Blueprint(APIBlueprint):
    """A blueprint whose every route declares `auth=` and runs in one transaction."""

    @override
    def route(self, rule: str, *, auth: Access, conflicts: bool = False, **options: Any) -> Callable[[View], View]:
        """Register a view that `auth`, a permission or `PUBLIC`, guards; `conflicts` says that it may answer 409."""
        register = super().route(rule, **options)

        def decorate(view: View) -> View:
            view = guarded(view, auth)
            view.conflicts = conflicts
            return register(view)

        return decorate


def guarded(view: View, access: Access) -> View:
    """Return `view` behind its guard; the answer is complete before the transaction commits."""

    @wraps(view)
    def guarded_view(*args: Any, **kwargs: Any) -> Any:
        with transaction():
            authorise(access)
            return view(*args, **kwargs)

    guarded_view.access = access
    return guarded_view


def access_of(view: View) -> Access | None:
    """Return what a registered view was guarded with, or None if it was not."""
    return getattr(view, "access", None)


def conflicts_of(view: View) -> bool:
    """Tell whether a registered view may find that things are not as its caller thought."""
    return getattr(view, "conflicts", False)
