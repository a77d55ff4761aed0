"""The only way to make a route: it cannot be made without saying who may use it."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final, override

from apiflask import APIBlueprint
from flask import current_app, request

from luckygas.access import PUBLIC, Access
from luckygas.db.session import transaction
from luckygas.resources import resources
from luckygas.web import validation
from luckygas.web.auth import authorise, current_principal
from luckygas.web.reads import Reads

type View = Callable[..., Any]

_READING: Final = {"GET", "HEAD", "OPTIONS"}

# Here, since every route comes by before it is decorated.
validation.register()


class Blueprint(APIBlueprint):
    """A blueprint whose every route declares `auth=` and runs in one transaction."""

    @override
    def route(
        self, rule: str, *, auth: Access, standby: bool = False, conflicts: bool = False, **options: Any
    ) -> Callable[[View], View]:
        """Register a view that `auth`, a permission or `PUBLIC`, guards.

        `standby` is for lists and reports: a view that writes nothing, needs a permission, and may show what was true
        a moment ago, though never less than what its caller wrote. `conflicts` says that it may answer 409.
        """
        register = super().route(rule, **options)

        def decorate(view: View) -> View:
            view = guarded(view, auth, standby=standby)
            view.conflicts = conflicts
            return register(view)

        return decorate


def guarded(view: View, access: Access, *, standby: bool = False) -> View:
    """Return `view` behind its guard; the answer is complete before the transaction commits."""

    @wraps(view)
    def guarded_view(*args: Any, **kwargs: Any) -> Any:
        reads, sessions = Reads.of(current_app), resources().sessions
        if standby:
            with transaction(sessions):
                authorise(access)
            return reads.run(current_principal().id, partial(view, *args, **kwargs))
        with transaction(sessions):
            authorise(access)
            answer = view(*args, **kwargs)
        if access != PUBLIC and request.method not in _READING:
            reads.note_write(current_principal().id)
        return answer

    guarded_view.access = access
    guarded_view.standby = standby
    return guarded_view


def access_of(view: View) -> Access | None:
    """Return what a registered view was guarded with, or None if it was not."""
    return getattr(view, "access", None)


def may_read_standby(view: View) -> bool:
    """Tell whether a registered view may be answered by a standby."""
    return getattr(view, "standby", False)


def conflicts_of(view: View) -> bool:
    """Tell whether a registered view may find that things are not as its caller thought."""
    return getattr(view, "conflicts", False)
