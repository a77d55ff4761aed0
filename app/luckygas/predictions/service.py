"""The nightly work on all customers: what they will want, how good the last guess was, and what to suggest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import batched, groupby
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from luckygas.customers import service as customers
from luckygas.orders import service as orders
from luckygas.predictions import forecast
from luckygas.predictions.models import (
    KindDemand,
    Prediction,
    PredictionError,
    Suggestion,
    SuggestionLine,
    SuggestionStatus,
)

DEFAULT_DAYS: Final = {"household": 60.0, "shop": 25.0, "restaurant": 7.0}
"""How long a usual order lasts as long as nothing is known: kinds of customers, and days."""

BATCH: Final = 1000
_SAMPLE: Final = 1500
_SAMPLED_AT_ONCE: Final = 100
_MOST_ORDERS: Final = 200
_PAST, _FUTURE = timedelta(days=1500), timedelta(days=1500)
_ERRORS_KEPT: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class _Past:
    """The orders of a customer that were not cancelled: each, the oldest first, and what was ordered on each day."""

    rows: Sequence[orders.Past]
    history: forecast.History

    @classmethod
    def of(cls, rows: Iterable[orders.Past]) -> "_Past":
        kept = tuple(rows)
        # Of two orders the later one may be of an earlier day, where the clock was set back between them.
        days = groupby(sorted(kept, key=lambda row: row.day), key=lambda row: row.day.toordinal())
        return cls(kept, [(day, sum(row.kg for row in together)) for day, together in days])


def learn(session: Session, *, today: date, zone: ZoneInfo) -> None:
    """Learn each kind's season and usual interval from some of its customers."""
    for kind, default_days in DEFAULT_DAYS.items():
        ids = customers.sample(session, kind=kind, count=_SAMPLE)
        # Some at a time: each of their orders is elsewhere, and what is not in memory must not hold up a statement.
        histories = [
            past.history
            for some in batched(ids, _SAMPLED_AT_ONCE, strict=False)
            for past in _pasts(session, ids=some, count=_MOST_ORDERS, since=today - _PAST, zone=zone).values()
        ]
        learned = forecast.learn(histories, default_days=default_days)
        row = KindDemand(
            kind=kind,
            factors=list(learned.factors),
            usual_days=learned.usual_days,
            intervals=learned.intervals,
            learned_on=today,
        )
        session.merge(row)
    session.flush()


def predict(session: Session, *, after_id: int, today: date, zone: ZoneInfo) -> int | None:
    """Predict for the customers whose ids follow `after_id`, and suggest what they may want tomorrow.

    Returns the last of their ids, or None if there were none. A prediction whose customer has ordered is held against
    that order and replaced. To be done again changes nothing.
    """
    kinds = customers.kinds_after(session, after_id=after_id, count=BATCH)
    if not kinds:
        return None
    rows = orders.recent(session, customer_ids=list(kinds), count=1, since=today - _PAST, zone=zone)
    newest = {row.customer_id: row.order_id for row in rows}
    statement = select(Prediction).where(Prediction.customer_id.between(min(kinds), max(kinds)))
    predictions = {row.customer_id: row for row in session.scalars(statement)}
    tomorrow = today + timedelta(days=1)
    # Of most customers it is enough that they have not ordered and need nothing yet.
    ids = [
        customer_id
        for customer_id, order_id in newest.items()
        if (made := predictions.get(customer_id)) is None or made.order_id != order_id or made.is_due(tomorrow)
    ]
    pasts = _pasts(session, ids=ids, count=forecast.RECENT_ORDERS, since=today - _PAST, zone=zone)
    learned = {row.kind: row for row in session.scalars(select(KindDemand))}
    # Not from today alone: where the clock was set back, there are orders of days to come.
    days = [today.toordinal(), *(past.history[at][0] for past in pasts.values() for at in (0, -1))]
    first, last = min(days), max(days) + _FUTURE.days
    seasons = {kind: forecast.Season(row.factors, first, last) for kind, row in learned.items()}
    errors = []
    for customer_id, past in pasts.items():
        kind, made = kinds[customer_id], predictions.get(customer_id)
        if made is not None:
            if made.order_id == past.rows[-1].order_id:
                continue
            errors += _errors(made, past, kind=kind)
        else:
            made = predictions[customer_id] = Prediction(customer_id=customer_id)
            session.add(made)
        due = forecast.predict(past.history, seasons[kind], usual_days=learned[kind].usual_days)
        made.order_id, made.ordered_on = past.rows[-1].order_id, date.fromordinal(past.history[-1][0])
        made.due_on, made.made_on, made.intervals = date.fromordinal(due), today, len(past.history) - 1
        made.by_last_interval = _day(forecast.by_last_interval(past.history))
        made.by_mean_interval = _day(forecast.by_mean_interval(past.history))
    if errors:
        session.execute(insert(PredictionError).on_conflict_do_nothing(), errors)
    session.flush()
    if newest:
        _suggest(session, predictions, newest, pasts, tomorrow=tomorrow)
    return max(kinds)


def forget(session: Session, *, today: date) -> None:
    """Remove errors that are too old to say how good predictions are."""
    session.execute(delete(PredictionError).where(PredictionError.ordered_on < today - _ERRORS_KEPT))


def _pasts(session: Session, *, ids: Iterable[int], count: int, since: date, zone: ZoneInfo) -> dict[int, _Past]:
    """Return the past of those of these customers who have ordered since a day."""
    rows = orders.recent(session, customer_ids=list(ids), count=count, since=since, zone=zone)
    return {customer_id: _Past.of(theirs) for customer_id, theirs in groupby(rows, key=lambda row: row.customer_id)}


def _errors(made: Prediction, past: _Past, *, kind: str) -> list[dict[str, object]]:
    """Hold a prediction against the customer's next order; nothing follows from one that was cancelled."""
    if made.order_id not in {row.order_id for row in past.rows}:
        return []
    came = next((row for row in past.rows if row.day > made.ordered_on), None)
    if came is None:
        return []
    predicted = {
        name: getattr(made, name) for name in ("customer_id", "due_on", "by_last_interval", "by_mean_interval")
    }
    return [predicted | {"order_id": came.order_id, "ordered_on": came.day, "kind": kind}]


def _suggest(
    session: Session,
    predictions: Mapping[int, Prediction],
    newest: Mapping[int, int],
    pasts: Mapping[int, _Past],
    *,
    tomorrow: date,
) -> None:
    """Suggest for `tomorrow` what is due; what nobody decided about goes on, unless its customer has ordered."""
    statement = select(Suggestion).where(
        Suggestion.customer_id.between(min(newest), max(newest)), Suggestion.status == SuggestionStatus.OPEN
    )
    open_ones = {row.customer_id: row for row in session.scalars(statement.with_for_update())}
    due = {}
    for customer_id, order_id in newest.items():
        suggestion, past = open_ones.get(customer_id), pasts.get(customer_id)
        if suggestion is not None and suggestion.after_order_id != order_id:
            suggestion.status = SuggestionStatus.ORDERED
        elif suggestion is not None:
            suggestion.for_day = tomorrow
        elif past and predictions[customer_id].is_due(tomorrow) and not any(row.is_open for row in past.rows):
            due[customer_id] = order_id
    session.flush()
    for customer_id in _put_off(session, due, day=tomorrow):
        del due[customer_id]
    sizes = orders.sizes_of(session, order_ids=list(due.values()))
    usual = customers.usual_of(session, customer_ids=list(due))
    for customer_id, order_id in due.items():
        lines = usual.get(customer_id) or sizes[order_id]
        session.add(
            Suggestion(
                customer_id=customer_id,
                after_order_id=order_id,
                for_day=tomorrow,
                due_on=predictions[customer_id].due_on,
                lines=[SuggestionLine(cylinder_kg=kg, quantity=quantity) for kg, quantity in lines.items()],
            )
        )
    session.flush()


def _put_off(session: Session, due: Mapping[int, int], *, day: date) -> set[int]:
    """Return the customers who said after their newest order that they want nothing on that day."""
    statement = select(Suggestion.customer_id).where(
        tuple_(Suggestion.customer_id, Suggestion.after_order_id).in_(due.items()),
        Suggestion.status == SuggestionStatus.DISMISSED,
        or_(Suggestion.again_on.is_(None), Suggestion.again_on > day),
    )
    return set(session.scalars(statement))


def _day(ordinal: int | None) -> date | None:
    return None if ordinal is None else date.fromordinal(ordinal)
