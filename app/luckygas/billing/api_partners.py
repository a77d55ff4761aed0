"""The routes of e-invoices and of the bank: what people see of them, and what the companies tell us themselves."""

from datetime import UTC, datetime

from luckygas.access import PUBLIC, Permission
from luckygas.billing import bank, invoices
from luckygas.billing.models import BankPayment, Invoice
from luckygas.billing.schemas_partners import (
    AssignIn,
    BankPaymentFullOut,
    BankPaymentOut,
    BankPaymentPage,
    BankPaymentQuery,
    HeardOut,
    InvoiceNews,
    InvoiceOut,
    InvoicePage,
    InvoiceQuery,
    SettlementIn,
)
from luckygas.db.session import current_session
from luckygas.errors import NotFound, WrongState
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

invoices_blueprint = Blueprint("invoices", __name__, url_prefix=f"{API}/invoices", tag="Invoices")
bank_blueprint = Blueprint("bank", __name__, url_prefix=f"{API}/bank-payments", tag="Bank")
webhooks_blueprint = Blueprint("webhooks", __name__, url_prefix=f"{API}/webhooks", tag="Webhooks")


@invoices_blueprint.get("", auth=Permission.BILLING_READ, standby=True)
@invoices_blueprint.input(InvoiceQuery, location="query", arg_name="query")
@invoices_blueprint.output(InvoicePage)
def find_invoices(query: InvoiceQuery) -> dict:
    """List e-invoices, newest first."""
    return page_of(
        query,
        lambda before_id, count: invoices.find(current_session(), query=query, before_id=before_id, count=count),
    )


@invoices_blueprint.get("/<id:invoice_id>", auth=Permission.BILLING_READ)
@invoices_blueprint.output(InvoiceOut)
def read_invoice(invoice_id: int) -> Invoice:
    """Read one e-invoice."""
    return invoices.get(current_session(), invoice_id=invoice_id)


@bank_blueprint.get("", auth=Permission.BILLING_READ, standby=True)
@bank_blueprint.input(BankPaymentQuery, location="query", arg_name="query")
@bank_blueprint.output(BankPaymentPage)
def find_payments(query: BankPaymentQuery) -> dict:
    """List what came in at the bank, newest first; what is unassigned waits for a person."""
    return page_of(
        query,
        lambda before_id, count: bank.find(current_session(), query=query, before_id=before_id, count=count),
    )


@bank_blueprint.get("/<id:payment_id>", auth=Permission.BILLING_READ)
@bank_blueprint.output(BankPaymentFullOut)
def read_payment(payment_id: int) -> dict:
    """Read one payment of the bank, and whose it may be."""
    session = current_session()
    row = bank.get(session, payment_id=payment_id)
    found = BankPaymentOut.model_validate(row).model_dump()
    return found | {"suggestions": bank.suggestions(session, payment=row, today=resources().today())}


@bank_blueprint.post("/<id:payment_id>/assignment", auth=Permission.BILLING_WRITE, problems=[WrongState])
@bank_blueprint.input(AssignIn, arg_name="wanted")
@idempotent
@bank_blueprint.output(BankPaymentOut)
def assign(payment_id: int, wanted: AssignIn) -> BankPayment:
    """Say whose a payment is."""
    by, today = current_principal().id, resources().today()
    return bank.assign(current_session(), payment_id=payment_id, wanted=wanted, by=by, today=today)


@webhooks_blueprint.post("/banking", auth=PUBLIC, signed_by="banking")
@webhooks_blueprint.input(SettlementIn, arg_name="settlement")
@webhooks_blueprint.output(HeardOut)
def hear_bank(settlement: SettlementIn) -> dict:
    """Hear from the bank that money came in."""
    today = resources().today()
    return {"is_new": bank.receive(current_session(), settlement=settlement, today=today)}


@webhooks_blueprint.post("/einvoice", auth=PUBLIC, signed_by="einvoice", problems=[NotFound])
@webhooks_blueprint.input(InvoiceNews, arg_name="news")
@webhooks_blueprint.output(HeardOut)
def hear_centre(news: InvoiceNews) -> dict:
    """Hear from the e-invoice centre what became of an invoice."""
    return {"is_new": invoices.hear(current_session(), news=news, now=datetime.now(UTC))}
