"""The routes of payments, accounts and bills."""

from collections.abc import Collection

from luckygas.access import Permission
from luckygas.billing import bills, service
from luckygas.billing.schemas import (
    AccountIn,
    AccountOut,
    BillFullOut,
    BillOut,
    BillPage,
    BillQuery,
    HandInIn,
    HandInOut,
    PaidOut,
    PaymentIn,
)
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of
from luckygas.web.versions import versioned

blueprint = Blueprint("billing", __name__, url_prefix=API, tag="Billing")


@blueprint.get("/customers/<id:customer_id>/account", auth=Permission.BILLING_READ)
@blueprint.output(AccountOut)
def account(customer_id: int) -> service.Standing:
    """Read what a customer owes, what is held for them and how they pay."""
    return service.standing(current_session(), customer_id=customer_id)


@blueprint.put("/customers/<id:customer_id>/account", auth=Permission.BILLING_WRITE)
@blueprint.input(AccountIn, arg_name="terms")
@versioned
@blueprint.output(AccountOut)
def agree(customer_id: int, terms: AccountIn, seen: Collection[int]) -> service.Standing:
    """Begin or end a monthly account (月結); one that ends has its last bill made."""
    today = resources().today()
    return service.agree(current_session(), customer_id=customer_id, terms=terms, seen=seen, today=today)


@blueprint.post("/payments", auth=Permission.BILLING_WRITE, problems=[WrongState])
@blueprint.input(PaymentIn, arg_name="payment")
@idempotent
@blueprint.output(PaidOut, status_code=201)
def pay(payment: PaymentIn) -> tuple[service.Paid, int]:
    """Book a payment that did not come with a delivery, or a credit that is given back."""
    by, today = current_principal().id, resources().today()
    return service.pay(current_session(), payment=payment, by=by, today=today), 201


@blueprint.post("/hand-ins", auth=Permission.BILLING_WRITE)
@blueprint.input(HandInIn, arg_name="counted")
@idempotent
@blueprint.output(HandInOut, status_code=201)
def hand_in(counted: HandInIn) -> tuple[service.HandIn, int]:
    """Book the cash that a driver brought back, as it was counted."""
    by, today = current_principal().id, resources().today()
    return service.hand_in(current_session(), counted=counted, by=by, today=today), 201


@blueprint.get("/bills", auth=Permission.BILLING_READ, standby=True)
@blueprint.input(BillQuery, location="query", arg_name="query")
@blueprint.output(BillPage)
def find_bills(query: BillQuery) -> dict:
    """List bills, newest first."""
    return page_of(
        query,
        lambda before_id, count: bills.find(current_session(), query=query, before_id=before_id, count=count),
    )


@blueprint.get("/bills/<id:bill_id>", auth=Permission.BILLING_READ)
@blueprint.output(BillFullOut)
def read_bill(bill_id: int) -> dict:
    """Read one bill and what of it is not paid yet."""
    session = current_session()
    row = bills.get(session, bill_id=bill_id)
    bill = BillOut.model_validate(row).model_dump()
    return bill | {"items": row.items, "open_twd": bills.open_twd(session, bill=row)}
