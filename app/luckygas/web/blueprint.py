"""The only way to make a route: it cannot be made without saying who may use it."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Final, override

from apiflask import APIBlueprint
from flask import current_app, g, request

from luckygas.access import PUBLIC, Access
from luckygas.db.session import transaction
from luckygas.errors import Problem
from luckygas.resources import resources
from luckygas.web import refusals, signatures, validation
from luckygas.web.auth import READING, authorise, become, current_principal
from luckygas.web.limits import EXPORT, Limits, Price
from luckygas.web.reads import Reads

type View = Callable[..., Any]

_ORDINARY: Final = Price()

# Here, since every route comes by before it is decorated.
validation.register()


class Blueprint(APIBlueprint):
    """A blueprint whose every route declares `auth=` and runs in one transaction."""

    @override
    def route(
        self,
        rule: str,
        *,
        auth: Access,
        signed_by: str | None = None,
        standby: bool = False,
        price: Price | None = None,
        problems: Sequence[type[Problem]] = (),
        csv_body: str | None = None,
        csv_answer: str | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Register a view that `auth`, a permission or `PUBLIC`, guards.

        A `PUBLIC` one can be `signed_by` an outside company, and takes requests of nobody else (`web.signatures`).
        `standby` is for lists and reports: a view that writes nothing, needs a permission, and may show what was true
        a moment ago, though never less than what its caller wrote. `price` is what a request takes of its caller's
        limits, and the limits that the route has beside them. `problems` are the kinds that the view itself raises, for
        the OpenAPI document. With `csv_body` it reads a file that somebody sends, with `csv_answer` it sends one
        (`web.spreadsheets`); both are examples of it.
        """
        register = super().route(rule, **options)

        def registered(view: View) -> View:
            price_of_view = price or (EXPORT if csv_answer else _ORDINARY)
            view = guarded(view, auth, signed_by=signed_by, standby=standby, price=price_of_view)
            view.problems, view.takes_csv, view.gives_csv = problems, csv_body, csv_answer
            return register(view)

        return registered


def guarded(view: View, access: Access, *, signed_by: str | None, standby: bool, price: Price) -> View:
    """Return `view` behind its guard; the answer is complete before the transaction commits."""

    @wraps(view)
    def guarded_view(*args: Any, **kwargs: Any) -> Any:
        reads, sessions = Reads.of(current_app), resources().sessions
        if access == PUBLIC:
            _admit_anybody(signed_by, price)
        with refusals.logged():
            if standby:
                with transaction(sessions):
                    _admit(access, price, fresh=False)
                return reads.run(current_principal().id, partial(view, *args, **kwargs))
            with transaction(sessions):
                _admit(access, price, fresh=True)
                answer = view(*args, **kwargs)
        if "principal" in g and request.method not in READING:
            reads.note_write(current_principal().id)
        return answer

    guarded_view.access = access
    guarded_view.signed_by = signed_by
    guarded_view.standby = standby
    guarded_view.price = price
    return guarded_view


def _admit_anybody(signed_by: str | None, price: Price) -> None:
    """Take what it costs from the company that has to have signed the request and has, otherwise from the address."""
    limits = Limits.of(current_app)
    if signed_by is not None:
        try:
            become(signatures.signer(signed_by))
        except Problem:
            limits.charge_address(price)
            raise
    limits.charge_caller(price)


def _admit(access: Access, price: Price, *, fresh: bool) -> None:
    """Find out who is asking and whether they may, and take what it costs, also when they may not."""
    if access == PUBLIC:
        return
    limits = Limits.of(current_app)
    try:
        authorise(access, fresh=fresh)
    except Problem:
        limits.charge_caller(price)
        raise
    limits.charge(current_principal(), price)


def current_view() -> View | None:
    """Return the view that this request is for, or None if there is nothing at its address."""
    return current_app.view_functions.get(request.endpoint or "")


def access_of(view: View) -> Access | None:
    """Return what a registered view was guarded with, or None if it was not."""
    return getattr(view, "access", None)


def signer_of(view: View | None) -> str | None:
    """Return the company that signs the requests to a registered view, or None."""
    return getattr(view, "signed_by", None)


def price_of(view: View) -> Price:
    """Return what a request to a registered view takes of its caller's limits."""
    return view.price


def problems_of(view: View) -> Sequence[type[Problem]]:
    """Return the kinds of problems that a registered view itself raises."""
    return getattr(view, "problems", ())


def response_schema_of(view: View) -> Any:
    """Return the schema of what a registered view answers with, or None if it declares none."""
    return getattr(view, "_spec", {}).get("response", {}).get("schema")


def takes_csv(view: View) -> str | None:
    """Return an example of the CSV file that a registered view takes, or None if it takes none."""
    return getattr(view, "takes_csv", None)


def gives_csv(view: View) -> str | None:
    """Return an example of the CSV file that a registered view answers with, or None if it does not."""
    return getattr(view, "gives_csv", None)


def may_read_standby(view: View) -> bool:
    """Tell whether a registered view may be answered by a standby."""
    return getattr(view, "standby", False)
