"""What can be done with e-invoices. Each is brought to where its order is, however often that is tried.

The centre knows an invoice by the reference of its order: whoever asks for one that is there gets the same one again.
So an answer that was lost costs a second question and never a second invoice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from luckygas.billing.models import Invoice, InvoiceStatus
from luckygas.billing.schemas_partners import InvoiceNews, InvoiceQuery
from luckygas.clients.einvoice import EInvoice, Issued, Item
from luckygas.customers import service as customers
from luckygas.errors import NotFound
from luckygas.jobs import service as jobs
from luckygas.jobs.queue import enqueue
from luckygas.ledger import service as ledger
from luckygas.orders import service as orders

_REFERENCE: Final = "order"
_MOST_AT_ONCE: Final = 500
_PATIENCE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Invoices by how far they are: how many, and over how much in whole TWD."""

    wanted: int = 0
    wanted_twd: int = 0
    issued: int = 0
    issued_twd: int = 0
    void: int = 0
    void_twd: int = 0


def want(session: Session, *, sale: ledger.Sale) -> Invoice | None:
    """Have an invoice issued for what was sold; a gift has none."""
    if not sale.total_twd:
        return None
    buyer = customers.get(session, customer_id=sale.customer_id).tax_number
    row = Invoice(order_id=sale.order_id, customer_id=sale.customer_id, buyer=buyer, amount_twd=sale.total_twd)
    session.add(row)
    session.flush()
    _enqueue(session, order_id=sale.order_id)
    return row


def bring_about(session: Session, *, order_id: int, centre: EInvoice, now: datetime) -> None:
    """Issue the invoice of a delivered order, void that of a cancelled one; nothing if it is there already.

    It is held only when the centre has answered, since the centre may tell of it before that.
    """
    row = session.scalar(select(Invoice).where(Invoice.order_id == order_id))
    if row is None or row.status == InvoiceStatus.VOID:
        return
    order = orders.get(session, order_id=order_id)
    number, issued = row.number, None
    if row.status == InvoiceStatus.WANTED:
        # Also for an order that is cancelled by now: an earlier attempt may have got through and lost its answer, and
        # what is not known by its number cannot be voided.
        items = [Item(f"瓦斯 {line.cylinder_kg} 公斤", line.quantity, line.unit_price_twd) for line in order.lines]
        issued = centre.issue(
            reference=f"{_REFERENCE}{order_id}", buyer=row.buyer, items=items, total_twd=row.amount_twd
        )
        number = issued.number
    is_cancelled = order.status == orders.OrderStatus.CANCELLED
    if is_cancelled:
        centre.void(number=str(number), reason="訂單取消")
    row = _locked(session, order_id=order_id)
    if issued is not None and row.status == InvoiceStatus.WANTED:
        _note_issued(row, issued, now=now)
    if is_cancelled and row.status != InvoiceStatus.VOID:
        _note_void(row, now=now)
    session.flush()


def hear(session: Session, *, news: InvoiceNews, now: datetime) -> bool:
    """Note what the centre says of an invoice; tell whether that was new."""
    row = _locked(session, order_id=int(news.reference.removeprefix(_REFERENCE)))
    if row is None:
        raise NotFound(f"there is no invoice with the reference {news.reference}")
    before = row.status
    if row.status == InvoiceStatus.WANTED:
        _note_issued(row, news, now=now)
    elif row.number != news.number:
        raise NotFound(f"the invoice with the reference {news.reference} has the number {row.number}")
    if news.status == InvoiceStatus.VOID and row.status != InvoiceStatus.VOID:
        _note_void(row, now=now)
    session.flush()
    return row.status != before


def catch_up(session: Session, *, now: datetime) -> int:
    """Enqueue again what is still wanted and has no job, since nobody was there to ask; return how many."""
    statement = select(Invoice.order_id).where(
        Invoice.status == InvoiceStatus.WANTED, Invoice.created_at < now - _PATIENCE
    )
    wanted = session.scalars(statement.order_by(Invoice.id).limit(_MOST_AT_ONCE)).all()
    cared_for = jobs.locks_in_use(session, locks=[orders.invoice_lock(order_id) for order_id in wanted])
    left = [order_id for order_id in wanted if orders.invoice_lock(order_id) not in cared_for]
    for order_id in left:
        _enqueue(session, order_id=order_id)
    return len(left)


def tally(session: Session, *, order_ids: Sequence[int]) -> Tally:
    """Count the invoices of these orders."""
    statement = (
        select(Invoice.status, func.count(), func.sum(Invoice.amount_twd))
        .where(Invoice.order_id.in_(order_ids))
        .group_by(Invoice.status)
    )
    found: dict[str, int] = {}
    for status, count, amount in session.execute(statement):
        found |= {status: count, f"{status}_twd": int(amount)}
    return Tally(**found)


def astray(session: Session, *, order_ids: Sequence[int]) -> Sequence[tuple[Invoice, orders.OrderStatus]]:
    """Return which of these orders' invoices are void or not against what became of the order, each with that."""
    became = {order.id: orders.OrderStatus(order.status) for order in orders.get_many(session, order_ids=order_ids)}
    against = {
        (InvoiceStatus.VOID, orders.OrderStatus.DELIVERED),
        (InvoiceStatus.ISSUED, orders.OrderStatus.CANCELLED),
    }
    rows = session.scalars(select(Invoice).where(Invoice.order_id.in_(order_ids)).order_by(Invoice.id))
    return [(row, became[row.order_id]) for row in rows if (row.status, became[row.order_id]) in against]


def waiting(session: Session, *, at_most: int) -> tuple[int, datetime | None]:
    """Return how many invoices are wanted and not issued, counted up to `at_most`, and since when the oldest is."""
    wanted = select(Invoice.created_at).where(Invoice.status == InvoiceStatus.WANTED).order_by(Invoice.id)
    found = session.scalars(wanted.limit(at_most)).all()
    return len(found), found[0] if found else None


def get(session: Session, *, invoice_id: int) -> Invoice:
    """Return one invoice, or raise `NotFound`."""
    row = session.get(Invoice, invoice_id)
    if row is None:
        raise NotFound(f"there is no invoice {invoice_id}")
    return row


def find(session: Session, *, query: InvoiceQuery, before_id: int, count: int) -> Sequence[Invoice]:
    """Return at most `count` invoices with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Invoice).where(Invoice.id < before_id).order_by(Invoice.id.desc()).limit(count)
    for column in (Invoice.status, Invoice.order_id, Invoice.customer_id):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    return session.scalars(statement).all()


def _enqueue(session: Session, *, order_id: int) -> None:
    enqueue(session, "billing.invoice", lock=orders.invoice_lock(order_id), order_id=order_id)


def _locked(session: Session, *, order_id: int) -> Invoice | None:
    statement = select(Invoice).where(Invoice.order_id == order_id).with_for_update()
    return session.scalar(statement, execution_options={"populate_existing": True})


def _note_issued(row: Invoice, issued: Issued, *, now: datetime) -> None:
    row.status, row.number, row.random_code, row.issued_at = (
        InvoiceStatus.ISSUED, issued.number, issued.random_code, now,
    )  # fmt: skip


def _note_void(row: Invoice, *, now: datetime) -> None:
    row.status, row.voided_at = InvoiceStatus.VOID, now
