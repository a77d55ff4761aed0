"""What dispatchers decide about what the night suggested."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from luckygas.errors import Invalid, NotFound, WrongState
from luckygas.orders import service as orders
from luckygas.predictions.models import Suggestion, SuggestionStatus
from luckygas.predictions.schemas import AcceptIn, DismissIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who decides something, and when."""

    by: str
    now: datetime
    today: date


def get(session: Session, *, suggestion_id: int, lock: bool = False) -> Suggestion:
    """Return one suggestion, as it is now and for a change with `lock`, or raise `NotFound`."""
    only = {"of": Suggestion} if lock else None
    row = session.get(Suggestion, suggestion_id, with_for_update=only, populate_existing=lock)
    if row is None:
        raise NotFound(f"there is no suggestion {suggestion_id}")
    return row


def accept(session: Session, *, suggestion_id: int, accepted: AcceptIn, act: Act) -> Suggestion:
    """Make an order of a suggestion. One that was accepted before is returned as it is: it never becomes a second one.

    Raises `WrongState` if it was dismissed, if the customer has ordered by themselves, or if a size has no price.
    """
    row = get(session, suggestion_id=suggestion_id, lock=True)
    if row.status == SuggestionStatus.ACCEPTED:
        return row
    _check_open(row)
    newest = orders.newest(session, customer_id=row.customer_id)
    if newest is not None and newest > row.after_order_id:
        raise WrongState(f"customer {row.customer_id} has placed order {newest} since: dismiss the suggestion")
    lines = [{"cylinder_kg": line.cylinder_kg, "quantity": line.quantity} for line in accepted.lines or row.lines]
    order = orders.OrderIn(customer_id=row.customer_id, lines=lines, wanted_on=max(row.for_day, act.today))
    try:
        placed = orders.place(session, order=order, by=act.by, today=act.today)
    except Invalid as error:
        reasons = "; ".join(found.message for found in error.errors)
        raise WrongState(f"suggestion {row.id} cannot become an order: {reasons}") from None
    row.order_id = placed.id
    return _decided(session, row, SuggestionStatus.ACCEPTED, act)


def dismiss(session: Session, *, suggestion_id: int, dismissed: DismissIn, act: Act) -> Suggestion:
    """Note that the customer takes nothing, until they have ordered once more or until the day that is given."""
    row = get(session, suggestion_id=suggestion_id, lock=True)
    _check_open(row)
    row.reason, row.again_on = dismissed.reason, dismissed.again_on
    return _decided(session, row, SuggestionStatus.DISMISSED, act)


def _check_open(row: Suggestion) -> None:
    if row.status != SuggestionStatus.OPEN:
        raise WrongState(f"suggestion {row.id} is {row.status} already")


def _decided(session: Session, row: Suggestion, status: SuggestionStatus, act: Act) -> Suggestion:
    row.status, row.decided_by, row.decided_at = status, act.by, act.now
    session.flush()
    return row
