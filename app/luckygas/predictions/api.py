"""The routes of predictions and suggestions."""

from datetime import UTC, datetime, timedelta

from luckygas.access import Permission
from luckygas.db.session import current_session
from luckygas.errors import WrongState
from luckygas.predictions import lists, suggestions
from luckygas.predictions.models import Suggestion
from luckygas.predictions.schemas import (
    AcceptIn,
    AccuracyListOut,
    AccuracyQuery,
    DismissIn,
    PredictionPage,
    PredictionQuery,
    SuggestionOut,
    SuggestionPage,
    SuggestionQuery,
)
from luckygas.resources import resources
from luckygas.web.addresses import API
from luckygas.web.auth import current_principal
from luckygas.web.blueprint import Blueprint
from luckygas.web.idempotency import idempotent
from luckygas.web.pagination import page_of

blueprint = Blueprint("predictions", __name__, url_prefix=f"{API}/predictions", tag="Predictions")
suggestions_blueprint = Blueprint("suggestions", __name__, url_prefix=f"{API}/suggestions", tag="Suggestions")


@blueprint.get("", auth=Permission.PREDICTIONS_READ, standby=True)
@blueprint.input(PredictionQuery, location="query", arg_name="query")
@blueprint.output(PredictionPage)
def find(query: PredictionQuery) -> dict:
    """List when customers are expected to order next, those of the newest customers first."""
    return page_of(
        query,
        lambda before_id, count: lists.find(current_session(), query=query, before_id=before_id, count=count),
        key="customer_id",
    )


@blueprint.get("/accuracy", auth=Permission.PREDICTIONS_READ, standby=True)
@blueprint.input(AccuracyQuery, location="query", arg_name="query")
@blueprint.output(AccuracyListOut)
def accuracy(query: AccuracyQuery) -> dict:
    """Tell how far off the predictions were, and how far off two naive ways would have been."""
    since = resources().today() - timedelta(days=query.days)
    return {"items": lists.accuracy(current_session(), since=since)}


@suggestions_blueprint.get("", auth=Permission.PREDICTIONS_READ, standby=True)
@suggestions_blueprint.input(SuggestionQuery, location="query", arg_name="query")
@suggestions_blueprint.output(SuggestionPage)
def find_suggestions(query: SuggestionQuery) -> dict:
    """List orders that customers may want, newest first; the nightly job makes those for tomorrow."""
    return page_of(
        query,
        lambda before_id, count: lists.find_suggestions(
            current_session(), query=query, before_id=before_id, count=count
        ),
    )


@suggestions_blueprint.get("/<id:suggestion_id>", auth=Permission.PREDICTIONS_READ)
@suggestions_blueprint.output(SuggestionOut)
def read(suggestion_id: int) -> Suggestion:
    """Read one suggestion."""
    return suggestions.get(current_session(), suggestion_id=suggestion_id)


@suggestions_blueprint.post("/<id:suggestion_id>/accept", auth=Permission.SUGGESTIONS_WRITE, problems=(WrongState,))
@suggestions_blueprint.input(AcceptIn, arg_name="body")
@idempotent
@suggestions_blueprint.output(SuggestionOut)
def accept(suggestion_id: int, body: AcceptIn) -> Suggestion:
    """Make an order of it, at the prices of the list; once it is one, this changes nothing any more."""
    return suggestions.accept(current_session(), suggestion_id=suggestion_id, accepted=body, act=_act())


@suggestions_blueprint.post("/<id:suggestion_id>/dismiss", auth=Permission.SUGGESTIONS_WRITE, problems=(WrongState,))
@suggestions_blueprint.input(DismissIn, arg_name="body")
@idempotent
@suggestions_blueprint.output(SuggestionOut)
def dismiss(suggestion_id: int, body: DismissIn) -> Suggestion:
    """Note that the customer takes nothing."""
    return suggestions.dismiss(current_session(), suggestion_id=suggestion_id, dismissed=body, act=_act())


def _act() -> suggestions.Act:
    return suggestions.Act(by=current_principal().id, now=datetime.now(UTC), today=resources().today())
