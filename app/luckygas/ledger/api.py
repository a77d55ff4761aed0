"""The routes of the books."""

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.ledger import service
from luckygas.ledger.models import Entry
from luckygas.ledger.schemas import BalanceListOut, EntryOut, EntryPage, EntryQuery, ReversalIn
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

blueprint = Blueprint("ledger", __name__, url_prefix=f"{API}/ledger", tag="Ledger")


@blueprint.get("/entries", auth=Permission.BILLING_READ, standby=True)
@blueprint.input(EntryQuery, location="query", arg_name="query")
@blueprint.output(EntryPage)
def find(query: EntryQuery) -> dict:
    """List entries of the books, newest first; those of a customer are their statement."""
    return page_of(
        query,
        lambda before_id, count: service.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.get("/entries/<id:entry_id>", auth=Permission.BILLING_READ)
@blueprint.output(EntryOut)
def read(entry_id: int) -> Entry:
    """Read one entry."""
    return service.get(current_session(), entry_id=entry_id)


@blueprint.post("/entries/<id:entry_id>/reversal", auth=Permission.BILLING_WRITE, problems=[WrongState])
@blueprint.input(ReversalIn, arg_name="body")
@idempotent
@blueprint.output(EntryOut, status_code=201)
def reverse(entry_id: int, body: ReversalIn) -> tuple[Entry, int]:
    """Meet a payment or a hand-in that was a mistake by its opposite."""
    by, day = current_principal().id, resources().today()
    return service.reverse(current_session(), entry_id=entry_id, day=day, by=by, reason=body.reason), 201


@blueprint.get("/balances", auth=Permission.BILLING_READ, standby=True)
@blueprint.output(BalanceListOut)
def balances() -> dict:
    """Add up every account; together they come to nothing."""
    found = service.balances(current_session())
    items = [{"account": account, "amount_twd": amount} for account, amount in found.items()]
    return {"items": items, "total_twd": sum(found.values())}
