"""E-invoices (電子發票) by a value-added centre."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from luckygas.clients.http import Partner, send_signed


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an invoice; amounts include the tax."""

    name: str
    count: int
    price_twd: int


class Issued(BaseModel):
    """An invoice as the tax office knows it."""

    number: Annotated[str, Field(pattern="^[A-Z]{2}[0-9]{8}$")]
    random_code: Annotated[str, Field(pattern="^[0-9]{4}$")]


class _Voided(BaseModel):
    number: str


class EInvoice(Partner):
    """Who issues invoices."""

    def issue(self, *, reference: str, buyer: str | None, items: Sequence[Item], total_twd: int) -> Issued:
        """Issue an invoice; the same reference always yields the same one. `buyer` is a tax number."""
        body = {
            "RelateNumber": reference,
            "CustomerIdentifier": buyer or "",
            "TaxType": "1",
            "InvType": "07",
            "vat": "1",
            "SalesAmount": total_twd,
            "Items": [asdict(item) for item in items],
        }
        return send_signed(self, "/invoices", body, read=Issued)

    def void(self, *, number: str, reason: str) -> None:
        """Void an invoice; one that is void already stays so."""
        send_signed(self, "/invoices/void", {"InvoiceNumber": number, "Reason": reason[:20]}, read=_Voided)
