"""The bank: an account number for each bill, and what was paid into them."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from luckygas.clients.http import Partner, send_signed


class Settlement(BaseModel):
    """Money that came in; `id` is the bank's own and never comes twice for two payments."""

    id: Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,40}$")]
    account: Annotated[str, Field(pattern="^[0-9]{10,16}$")]
    amount_twd: Annotated[int, Field(ge=1, le=10**9, strict=True)]
    paid_at: AwareDatetime


class _Opened(BaseModel):
    account: Annotated[str, Field(pattern="^[0-9]{10,16}$")]


class _Settled(BaseModel):
    items: list[Settlement]


class Banking(Partner):
    """Who keeps the money."""

    def open_account(self, *, reference: str, amount_twd: int) -> str:
        """Return the number to pay into for a bill; the same reference always has the same."""
        body = {"reference": reference, "amount_twd": amount_twd}
        return send_signed(self, "/virtual-accounts", body, read=_Opened).account

    def settlements(self, *, day: date) -> Sequence[Settlement]:
        """Return all that came in on a day."""
        return send_signed(self, "/settlements/query", {"day": day.isoformat()}, read=_Settled).items
