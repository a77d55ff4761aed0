"""The close of a day (日結): what was sold, paid, invoiced and exchanged is held against each other, then for good."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from sqlalchemy.orm import Session

from luckygas.billing import invoices
from luckygas.billing.schemas_closings import CloseIn
from luckygas.cylinders import service as cylinders
from luckygas.errors import WrongState
from luckygas.ledger import service as ledger
from luckygas.orders import service as orders

Closing = ledger.days.Closing
type Key = tuple[int | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Cylinders of one size."""

    cylinder_kg: int
    ordered: int
    delivered: int
    returned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one driver, or with None the office, did on a day; or all of them. In whole TWD."""

    driver_id: int | None
    orders: int
    sales_twd: int
    returns_twd: int
    cash_twd: int
    deposits_twd: int
    transfers_twd: int
    handed_in_twd: int
    cash_difference_twd: int
    cash_left_twd: int
    cylinders: Sequence[Exchange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A day: its drivers, all of it together, its invoices, and what does not agree, in words."""

    day: date
    shares: Sequence[Share]
    total: Share
    invoices: invoices.Tally
    differences: Sequence[str]


def report(session: Session, *, day: date, has_centre: bool) -> Report:
    """Hold a day's books against its orders, cylinders and cash, and its invoices where there is a centre for them."""
    sold = ledger.days.sold(session, day=day)
    turned = ledger.days.turnover(session, day=day)
    left = ledger.sums.cash_left(session, day=day)
    order_ids = [sale.order_id for sale in sold]
    exchanged = _exchanged(session, {sale.order_id: sale.driver_id for sale in sold})
    found = [*(sale.driver_id for sale in sold), *(row.driver_id for row in turned), *left]
    shares = [
        _share(driver_id, sold=sold, turned=turned, left=left, exchanged=exchanged)
        for driver_id in sorted(set(found), key=lambda driver_id: driver_id or 0)
    ]
    tally = invoices.tally(session, order_ids=order_ids)
    concerned = [*order_ids, *ledger.days.taken_back(session, day=day)]
    astray = invoices.astray(session, order_ids=concerned) if has_centre else ()
    total = total_of(shares)
    placed_twd = sum(order.total_twd for order in orders.get_many(session, order_ids=order_ids))
    return Report(
        day=day,
        shares=shares,
        total=total,
        invoices=tally,
        differences=[
            *_money_differences(shares, total=total, placed_twd=placed_twd),
            *_cylinder_differences(total),
            *(_invoice_differences(tally, total=total, astray=astray) if has_centre else ()),
        ],
    )


def get(session: Session, *, closing_id: int) -> Closing:
    """Return one closed day, or raise `NotFound`."""
    return ledger.days.get(session, closing_id=closing_id)


def find(session: Session, *, before_id: int, count: int) -> Sequence[Closing]:
    """Return at most `count` closed days with smaller ids than `before_id`, newest first."""
    return ledger.days.find(session, before_id=before_id, count=count)


def close(session: Session, *, wanted: CloseIn, by: str, today: date, has_centre: bool) -> Closing:
    """Close a day for good. What does not agree is refused unless the caller says that they know of it."""
    ledger.days.hold(session, day=wanted.day, today=today)
    found = report(session, day=wanted.day, has_centre=has_centre)
    if found.differences and not wanted.accept_differences:
        raise WrongState(f"{'; '.join(found.differences)}: put it right, or close with accept_differences")
    return ledger.days.seal(session, day=wanted.day, report=as_json(found), by=by)


def as_json(found: Report) -> dict:
    """Return a report in the form in which it is kept and sent."""
    return asdict(found) | {"day": found.day.isoformat()}


def _exchanged(session: Session, drivers: dict[int, int | None]) -> dict[Key, Exchange]:
    """Count cylinders by driver and size: what was ordered, and what was moved for those orders."""
    ordered: Counter[Key] = Counter()
    for order in orders.get_many(session, order_ids=list(drivers)):
        for line in order.lines:
            ordered[drivers[order.id], line.cylinder_kg] += line.quantity
    delivered: Counter[Key] = Counter()
    returned: Counter[Key] = Counter()
    for moved in cylinders.exchanged(session, order_ids=list(drivers)):
        delivered[drivers[moved.order_id], moved.cylinder_kg] += moved.delivered
        returned[drivers[moved.order_id], moved.cylinder_kg] += moved.returned
    return {
        key: Exchange(cylinder_kg=key[1], ordered=ordered[key], delivered=delivered[key], returned=returned[key])
        for key in {*ordered, *delivered, *returned}
    }


def _share(
    driver_id: int | None,
    *,
    sold: Iterable[ledger.days.Sold],
    turned: Iterable[ledger.days.Turnover],
    left: Mapping[int | None, int],
    exchanged: dict[Key, Exchange],
) -> Share:
    kinds, accounts = ledger.EntryKind, ledger.Account
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in turned:
        if row.driver_id == driver_id:
            sums[row.kind, row.account] += row.amount_twd
    coming_in = set(kinds) - {kinds.HAND_IN}
    cash = sum(sums[kind, account] for kind in coming_in for account in (accounts.TILL, accounts.DRIVER_CASH))
    return Share(
        driver_id=driver_id,
        orders=sum(sale.driver_id == driver_id for sale in sold),
        sales_twd=sums[kinds.SALE, accounts.RECEIVABLE],
        returns_twd=-sums[kinds.RETURN, accounts.RECEIVABLE],
        cash_twd=cash,
        deposits_twd=-sums[kinds.DEPOSIT, accounts.DEPOSITS],
        transfers_twd=sum(sums[kind, accounts.BANK] for kind in kinds),
        handed_in_twd=sums[kinds.HAND_IN, accounts.TILL],
        cash_difference_twd=-sum(sums[kind, accounts.CASH_DIFFERENCE] for kind in kinds),
        cash_left_twd=left.get(driver_id, 0),
        cylinders=[exchange for key, exchange in sorted(exchanged.items(), key=_by_size) if key[0] == driver_id],
    )


def total_of(shares: Sequence[Share]) -> Share:
    """Add shares up."""
    names = [name for name in Share.__dataclass_fields__ if name not in {"driver_id", "cylinders"}]
    sizes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for share in shares:
        for exchange in share.cylinders:
            sizes[exchange.cylinder_kg].update(
                ordered=exchange.ordered, delivered=exchange.delivered, returned=exchange.returned
            )
    return Share(
        driver_id=None,
        cylinders=[
            Exchange(cylinder_kg=kg, **{name: sizes[kg][name] for name in ("ordered", "delivered", "returned")})
            for kg in sorted(sizes)
        ],
        **{name: sum(getattr(share, name) for share in shares) for name in names},
    )


def _money_differences(shares: Sequence[Share], *, total: Share, placed_twd: int) -> Iterable[str]:
    if total.sales_twd != placed_twd:
        yield f"the books have sales of {total.sales_twd} TWD, the orders come to {placed_twd} TWD"
    for share in shares:
        if share.cash_difference_twd:
            word = "missing" if share.cash_difference_twd < 0 else "too much"
            yield f"of what driver {share.driver_id} handed in, {abs(share.cash_difference_twd)} TWD are {word}"
        if share.cash_left_twd:
            yield f"driver {share.driver_id} has {share.cash_left_twd} TWD that were not handed in"


def _cylinder_differences(total: Share) -> Iterable[str]:
    for exchange in total.cylinders:
        if exchange.delivered != exchange.ordered:
            wanted = f"{exchange.ordered} cylinders of {exchange.cylinder_kg} kg were ordered"
            yield f"{wanted}, {exchange.delivered} delivered"


def _invoice_differences(
    tally: invoices.Tally, *, total: Share, astray: Iterable[tuple[invoices.Invoice, orders.OrderStatus]]
) -> Iterable[str]:
    if tally.wanted:
        yield f"{tally.wanted} e-invoices over {tally.wanted_twd} TWD are not issued yet"
    if (invoiced := tally.wanted_twd + tally.issued_twd + tally.void_twd) != total.sales_twd:
        yield f"the e-invoices come to {invoiced} TWD, the sales to {total.sales_twd} TWD"
    for invoice, became in astray:
        word = "void" if invoice.status == invoices.InvoiceStatus.VOID else "not void"
        yield f"order {invoice.order_id} is {became}, its e-invoice {invoice.number} is {word}"


def _by_size(item: tuple[Key, Exchange]) -> int:
    return item[0][1]
