"""The company as rows, batch by batch, in the text form of COPY."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from luckygas.customers.models import CustomerKind
from luckygas.demo import names, places
from luckygas.demo.books import Books
from luckygas.demo.demand import KINDS, SHARES, Demand, Usual, usual_of

BY: Final = "demo-data"
"""Who did all of it, as far as the records say."""

COLUMNS: Final = {
    "prices": "id, cylinder_kg, unit_price_twd, valid_from, by, created_at",
    "drivers": "id, name, mobile, plate, capacity_kg, is_active, version, created_at",
    "customers": "id, kind, name, mobile, landline, tax_number, address, created_at",
    "customer_addresses": "customer_id, position, label, address",
    "customer_usual_cylinders": "customer_id, cylinder_kg, quantity",
    "customer_deposits": "id, customer_id, amount_twd, by, created_at",
    "cylinders": "id, serial, cylinder_kg, inspected_until, is_full, place, customer_id, created_at",
    "cylinder_moves": "id, cylinder_id, place, customer_id, is_full, by, at",
    "orders": "id, customer_id, status, delivery_address, wanted_on, version, placed_at",
    "order_lines": "order_id, position, cylinder_kg, quantity, unit_price_twd",
    "order_events": "id, order_id, status, version, note, by, at",
    "ledger_entries": "id, day, kind, order_id, reference, by, at",
    "ledger_lines": "entry_id, position, account, customer_id, amount_twd",
}
"""The tables that are written and their columns, in an order in which each row finds what it refers to."""

type Batch = dict[str, list[str]]

_CUSTOMERS_IN_A_BATCH: Final = 10_000
_ORDERS_IN_A_BATCH: Final = 20_000
_NULL: Final = r"\N"
_BASE_PRICES_TWD: Final = {4: 330, 10: 520, 16: 720, 20: 850, 50: 2100}
_PRICE_DAYS: Final = 91
_DEPOSIT_TWD: Final = 1500
OPEN_DAYS: Final = 2  # what was ordered yesterday and today is still to be delivered
_TAIPEI: Final = ZoneInfo("Asia/Taipei")
_MORNING, _SECONDS_OF_WORK = 8 * 3600, 11 * 3600
_CANCELLED: Final = 0.015
_REASONS: Final = ("客人出國", "地址錯誤", "重複訂購", "改天再送")


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """How large the company is, and on which of its days one looks at it."""

    customers: int
    days: int
    until: date
    seed: int

    @property
    def first_day(self) -> date:
        """The day of its first orders."""
        return self.until - timedelta(days=self.days - 1)


class Records:
    """Writes the company down. Each method is to be called once, in the order in which they stand here."""

    def __init__(self, company: Company) -> None:
        """Prepare. Raises `ValueError` for days that the calendar does not know."""
        self._company = company
        self._rng = Random(company.seed)
        self._demand = Demand(first=company.first_day, days=company.days, rng=self._rng)
        self._homes = array("Q")  # an address is its number: eight bytes
        self._pays_later = array("B")
        self._books = Books(by=BY)
        self._cylinders = 0
        self._since = f"{company.first_day} 07:00+08"

    def start(self) -> Batch:
        """Return the price list, a price for each size and season, and the drivers."""
        rng, batch = self._rng, _empty("prices", "drivers")
        for season in range(0, self._company.days, _PRICE_DAYS):
            day = self._company.first_day + timedelta(days=season)
            for size in _BASE_PRICES_TWD:
                batch["prices"].append(
                    f"{len(batch['prices']) + 1}\t{size}\t{self._price(size, season)}\t{day}\t{BY}\t{day} 07:00+08\n"
                )
        for number in range(1, min(3 + self._company.customers // 2000, 60) + 1):
            name, mobile = names.name(KINDS[0], rng), names.mobile(rng)
            plate = f"{''.join(rng.choices('ABCDEFGHJK', k=3))}-{rng.randrange(10**4):04}"
            capacity_kg = rng.choice((1000, 1500, 1900))
            batch["drivers"].append(f"{number}\t{name}\t{mobile}\t{plate}\t{capacity_kg}\tt\t1\t{self._since}\n")
        return batch

    def customers(self) -> Iterator[tuple[int, Batch]]:
        """Yield the customers and their cylinders in batches, each with the number of customers up to there."""
        batch = _empty(*_OF_CUSTOMERS)
        for number in range(1, self._company.customers + 1):
            self._customer(number, batch)
            if number % _CUSTOMERS_IN_A_BATCH == 0 or number == self._company.customers:
                yield number, batch
                batch = _empty(*_OF_CUSTOMERS)

    def orders(self) -> Iterator[tuple[date, int, Batch]]:
        """Yield the orders in batches, each with the last of its days and the number of orders up to there."""
        batch, number = _empty(*_OF_ORDERS), 0
        for day, wanted in self._demand.days():
            is_open = (self._company.until - day).days < OPEN_DAYS
            self._books.transfers(day, batch)
            midnight = datetime(day.year, day.month, day.day, tzinfo=_TAIPEI)
            season = (day - self._company.first_day).days // _PRICE_DAYS * _PRICE_DAYS
            prices = {size: self._price(size, season) for size in _BASE_PRICES_TWD}
            for place, (customer, size, quantity) in enumerate(wanted):
                number += 1
                # One after the other through the working day, so that a later order has a larger id.
                second = int(_MORNING + _SECONDS_OF_WORK * (place + self._rng.random()) / len(wanted))
                placed = midnight + timedelta(seconds=second)
                delivered = self._order(number, customer, placed, batch, is_open=is_open)
                if delivered is not None:
                    twd, later = quantity * prices[size], bool(self._pays_later[customer])
                    self._books.sale(number, customer + 1, twd, delivered, batch, pays_later=later)
                batch["order_lines"].append(f"{number}\t1\t{size}\t{quantity}\t{prices[size]}\n")
            if len(batch["orders"]) >= _ORDERS_IN_A_BATCH or day == self._company.until:
                yield day, number, batch
                batch = _empty(*_OF_ORDERS)

    def _customer(self, number: int, batch: Batch) -> None:
        rng, since = self._rng, self._since
        kind = rng.choices(range(len(KINDS)), SHARES)[0]
        usual = usual_of(kind, rng)
        self._demand.add(kind, usual)
        home = rng.randrange(places.COUNT)
        self._homes.append(home)
        self._pays_later.append(KINDS[kind] == CustomerKind.RESTAURANT)
        is_business = kind > 0
        landline = (
            places.landline(home, rng.randrange(10**8)) if rng.random() < (0.8 if is_business else 0.3) else _NULL
        )
        tax_number = names.tax_number(rng) if is_business and rng.random() < 0.7 else _NULL
        name, mobile = names.name(KINDS[kind], rng), names.mobile(rng)
        batch["customers"].append(
            f"{number}\t{KINDS[kind]}\t{name}\t{mobile}\t{landline}\t{tax_number}\t{places.address(home)}\t{since}\n"
        )
        if rng.random() < (0.08 if is_business else 0.01):
            batch["customer_addresses"].append(f"{number}\t1\t分店\t{places.address(rng.randrange(places.COUNT))}\n")
        batch["customer_usual_cylinders"].append(f"{number}\t{usual.cylinder_kg}\t{usual.quantity}\n")
        deposit_twd = _DEPOSIT_TWD * usual.quantity
        batch["customer_deposits"].append(f"{number}\t{number}\t{deposit_twd}\t{BY}\t{since}\n")
        self._books.deposit(number, number, deposit_twd, since, batch)
        for _ in range(usual.quantity):
            self._cylinder(usual, f"customer\t{number}", batch)
        if number % 8 == 0:  # and one in the depot for every eighth
            self._cylinder(usual, f"depot\t{_NULL}", batch)

    def _cylinder(self, usual: Usual, where: str, batch: Batch) -> None:
        self._cylinders += 1
        number = self._cylinders
        inspected_until = self._company.until + timedelta(days=self._rng.randrange(-20, 5 * 365))
        batch["cylinders"].append(
            f"{number}\tTW{number:08}\t{usual.cylinder_kg}\t{inspected_until}\tt\t{where}\t{self._since}\n"
        )
        batch["cylinder_moves"].append(f"{number}\t{number}\t{where}\tt\t{BY}\t{self._since}\n")

    def _order(self, number: int, customer: int, placed: datetime, batch: Batch, *, is_open: bool) -> datetime | None:
        """Write an order down; return when it was delivered, if it was."""
        rng, delivered = self._rng, None
        steps = [("placed", placed, _NULL)]
        if rng.random() < _CANCELLED:
            steps.append(("cancelled", placed + timedelta(minutes=20), rng.choice(_REASONS)))
        elif not is_open:
            minutes = rng.randrange(150, 300) if placed.hour < 13 else rng.randrange(960, 1200)
            delivered = placed + timedelta(minutes=minutes)
            steps += [
                ("scheduled", placed + timedelta(minutes=10), _NULL),
                ("out", delivered - timedelta(minutes=90), _NULL),
                ("delivered", delivered, _NULL),
            ]
        wanted_on = placed.date() + timedelta(days=1) if is_open else _NULL
        address = places.address(self._homes[customer])
        batch["orders"].append(
            f"{number}\t{customer + 1}\t{steps[-1][0]}\t{address}\t{wanted_on}\t{len(steps)}\t{placed}\n"
        )
        for version, (status, at, note) in enumerate(steps, start=1):
            # Four numbers are kept free for each order.
            batch["order_events"].append(
                f"{4 * (number - 1) + version}\t{number}\t{status}\t{version}\t{note}\t{BY}\t{at}\n"
            )
        return delivered

    def _price(self, size: int, season: int) -> int:
        """Return what a size costs in a season; it goes up and down by some percent, as gas does."""
        step = Random(f"{self._company.seed} {season}").uniform(-0.06, 0.06)
        return round(_BASE_PRICES_TWD[size] * (1 + step) / 10) * 10


_OF_CUSTOMERS: Final = (
    "customers", "customer_addresses", "customer_usual_cylinders", "customer_deposits", "cylinders", "cylinder_moves",
    "ledger_entries", "ledger_lines",
)  # fmt: skip
_OF_ORDERS: Final = ("orders", "order_lines", "order_events", "ledger_entries", "ledger_lines")


def _empty(*tables: str) -> Batch:
    return {table: [] for table in tables}
