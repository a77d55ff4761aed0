"""The company's books: what each delivery sold and when it was paid for, in the text form of COPY.

Homes and shops pay at the door, restaurants two weeks later by transfer.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from luckygas.ledger.models import Account, EntryKind

DAYS_TO_PAY: Final = 14

type Line = tuple[Account, int | None, int]
"""An account, the customer whose it is, and whole TWD."""

_NULL: Final = r"\N"
_MORNING: Final = time(10)


class Books:
    """Writes entries one after the other into the batch that it is given."""

    def __init__(self, *, by: str) -> None:
        """Begin with empty books."""
        self._by = by
        self._written = 0
        self._due: defaultdict[date, list[tuple[int, int, int]]] = defaultdict(list)

    def deposit(self, number: int, customer: int, twd: int, at: str, batch: dict[str, list[str]]) -> None:
        """Write down that a customer's deposit was paid in."""
        lines = [(Account.TILL, None, twd), (Account.DEPOSITS, customer, -twd)]
        self._write(EntryKind.DEPOSIT, at[:10], at, lines, batch, reference=f"deposit-{number}")

    def sale(  # noqa: PLR0913 - a row
        self, order: int, customer: int, twd: int, at: datetime, batch: dict[str, list[str]], *, pays_later: bool
    ) -> None:
        """Write down what a delivery sold, and that it was paid for unless that comes later."""
        day = at.date()
        lines = [(Account.RECEIVABLE, customer, twd), (Account.SALES, None, -twd)]
        self._write(EntryKind.SALE, f"{day}", f"{at}", lines, batch, order=order, reference=f"sale-{order}")
        if pays_later:
            self._due[day + timedelta(days=DAYS_TO_PAY)].append((order, customer, twd))
        else:
            lines = [(Account.TILL, None, twd), (Account.RECEIVABLE, customer, -twd)]
            self._write(EntryKind.PAYMENT, f"{day}", f"{at}", lines, batch, order=order)

    def transfers(self, day: date, batch: dict[str, list[str]]) -> None:
        """Write down what comes in at the bank on a day."""
        for order, customer, twd in self._due.pop(day, ()):
            lines = [(Account.BANK, None, twd), (Account.RECEIVABLE, customer, -twd)]
            self._write(EntryKind.PAYMENT, f"{day}", f"{day} {_MORNING}+08", lines, batch, order=order)

    def _write(  # noqa: PLR0913 - a row
        self,
        kind: EntryKind,
        day: str,
        at: str,
        lines: Sequence[Line],
        batch: dict[str, list[str]],
        *,
        order: int | str = _NULL,
        reference: str = _NULL,
    ) -> None:
        self._written += 1
        batch["ledger_entries"].append(f"{self._written}\t{day}\t{kind}\t{order}\t{reference}\t{self._by}\t{at}\n")
        for position, (account, customer, twd) in enumerate(lines, start=1):
            whose = _NULL if customer is None else customer
            batch["ledger_lines"].append(f"{self._written}\t{position}\t{account}\t{whose}\t{twd}\n")
