"""E-invoices and the bank's payments as they travel."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from luckygas.billing.models import InvoiceStatus
from luckygas.clients.banking import Settlement
from luckygas.clients.einvoice import Issued
from luckygas.web.fields import PLAIN_DIGITS, Body, Instant, Output, RowId
from luckygas.web.pagination import NextCursor, PageQuery


class InvoiceOut(Output):
    """An e-invoice (電子發票)."""

    id: RowId
    order_id: RowId
    customer_id: RowId
    buyer: Annotated[str | None, Field(description="The tax number of a business")]
    amount_twd: Annotated[int, Field(gt=0, description="With the tax, whole TWD")]
    status: InvoiceStatus
    number: str | None
    random_code: str | None
    issued_at: Instant | None
    voided_at: Instant | None


class InvoiceQuery(PageQuery):
    """Which invoices to list; all of what is given must hold."""

    status: InvoiceStatus | None = None
    order_id: Annotated[RowId, PLAIN_DIGITS] | None = None
    customer_id: Annotated[RowId, PLAIN_DIGITS] | None = None


class InvoicePage(Output):
    """Some invoices, newest first."""

    items: list[InvoiceOut]
    next_cursor: NextCursor


class BankPaymentStatus(StrEnum):
    """Whether it is known whose a payment is."""

    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"


class BankPaymentOut(Output):
    """Money that the bank says came in."""

    id: RowId
    bank_id: str
    account: str
    amount_twd: Annotated[int, Field(gt=0)]
    paid_at: Instant
    customer_id: RowId | None
    assigned_by: Annotated[str | None, Field(description="Who said whose it is")]


class BankPaymentFullOut(BankPaymentOut):
    """A payment of the bank, and whose it may be."""

    suggestions: Annotated[
        list[RowId], Field(description="Customers who were charged exactly so much lately and still owe it")
    ]


class BankPaymentQuery(PageQuery):
    """Which payments of the bank to list."""

    status: BankPaymentStatus | None = None


class BankPaymentPage(Output):
    """Some payments of the bank, newest first."""

    items: list[BankPaymentOut]
    next_cursor: NextCursor


class AssignIn(Body):
    """Whose a payment is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer_id": 17}]})

    customer_id: RowId
    instead_of: Annotated[RowId | None, Field(description="To whom it belongs so far, if it was given to somebody")] = (
        None
    )


class SettlementIn(Settlement):
    """Money that came in, told by the bank. What else it says is passed over."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "S-20300102-17",
                    "account": "99880010000001",
                    "amount_twd": 1700,
                    "paid_at": "2030-01-02T10:00:00+08:00",
                }
            ]
        },
    )


class InvoiceNews(Issued):
    """What the e-invoice centre says of an invoice. What else it says is passed over."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [{"reference": "order17", "number": "AB10000001", "random_code": "1234", "status": "issued"}]
        },
    )

    reference: Annotated[str, Field(pattern="^order[1-9][0-9]{0,17}$")]
    status: Literal["issued", "void"]


class HeardOut(Output):
    """What became of a message."""

    is_new: Annotated[bool, Field(description="False when it was known already: nothing was done a second time")]
