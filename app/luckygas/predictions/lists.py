"""What there is to be read of predictions and suggestions."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from luckygas.predictions.models import Prediction, PredictionError, Suggestion
from luckygas.predictions.schemas import PredictionQuery, SuggestionQuery


def find(session: Session, *, query: PredictionQuery, before_id: int, count: int) -> Sequence[Prediction]:
    """Return at most `count` predictions of customers with smaller ids than `before_id`, newest customers first."""
    statement = select(Prediction).where(Prediction.customer_id < before_id)
    for column in (Prediction.customer_id, Prediction.due_on):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    return session.scalars(statement.order_by(Prediction.customer_id.desc()).limit(count)).all()


def accuracy(session: Session, *, since: date) -> list[dict[str, Any]]:
    """Return for each kind by how many days predictions of orders since a day were off, beside the naive ones."""
    error = PredictionError

    def off(predicted: Any) -> Any:
        return func.avg(func.abs(predicted - error.ordered_on))

    statement = (
        select(
            error.kind,
            func.count().label("orders"),
            off(error.due_on).label("error_days"),
            off(error.by_last_interval).label("last_interval_error_days"),
            off(error.by_mean_interval).label("mean_interval_error_days"),
        )
        .where(error.ordered_on >= since, error.by_last_interval.is_not(None))
        .group_by(error.kind)
        .order_by(error.kind)
    )
    return [dict(row) for row in session.execute(statement).mappings()]


def find_suggestions(session: Session, *, query: SuggestionQuery, before_id: int, count: int) -> Sequence[Suggestion]:
    """Return at most `count` suggestions with smaller ids than `before_id`, newest first, that `query` is about."""
    statement = select(Suggestion).where(Suggestion.id < before_id).order_by(Suggestion.id.desc()).limit(count)
    for column in (Suggestion.customer_id, Suggestion.status, Suggestion.for_day):
        if (value := getattr(query, column.key)) is not None:
            statement = statement.where(column == value)
    return session.scalars(statement).all()
