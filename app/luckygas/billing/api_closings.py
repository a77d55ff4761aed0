"""The routes of closed days."""

from flask import url_for

from luckygas.access import Permission
from luckygas.billing import closing
from luckygas.billing.schemas_closings import CloseIn, ClosingOut, ClosingPage, DayQuery, ReportOut
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import PageQuery, page_of

blueprint = Blueprint("closings", __name__, url_prefix=f"{API}/closings", tag="Closings")


@blueprint.get("/preview", auth=Permission.BILLING_READ, standby=True)
@blueprint.input(DayQuery, location="query", arg_name="query")
@blueprint.output(ReportOut)
def preview(query: DayQuery) -> closing.Report:
    """Look at a day as it stands, and at what would keep it from being closed."""
    held = resources()
    has_centre = held.clients.einvoice.is_configured
    return closing.report(current_session(), day=query.day or held.today(), has_centre=has_centre)


@blueprint.post("", auth=Permission.CLOSINGS_WRITE, problems=[WrongState])
@blueprint.input(CloseIn, arg_name="wanted")
@idempotent
@blueprint.output(ClosingOut, status_code=201)
def close(wanted: CloseIn) -> tuple[closing.Closing, int, dict[str, str]]:
    """Close a day (日結): nothing is booked on it any more, what comes later is booked on the next."""
    held, by = resources(), current_principal().id
    has_centre = held.clients.einvoice.is_configured
    row = closing.close(current_session(), wanted=wanted, by=by, today=held.today(), has_centre=has_centre)
    return row, 201, {"Location": url_for(".read", closing_id=row.id)}


@blueprint.get("", auth=Permission.BILLING_READ, standby=True)
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(ClosingPage)
def find(query: PageQuery) -> dict:
    """List closed days, newest first."""
    return page_of(query, lambda before_id, count: closing.find(current_session(), before_id=before_id, count=count))


@blueprint.get("/<id:closing_id>", auth=Permission.BILLING_READ)
@blueprint.output(ClosingOut)
def read(closing_id: int) -> closing.Closing:
    """Read one closed day."""
    return closing.get(current_session(), closing_id=closing_id)
