from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from factories import make_customer, order_body
from luckygas import worker
from luckygas.config import Settings, WorkerSettings
from luckygas.customers.models import Customer
from luckygas.jobs import queue
from luckygas.jobs.queue import SCHEDULE, enqueue
from luckygas.orders import service as orders
from luckygas.orders.models import OrderStatus
from luckygas.orders.schemas import OrderIn
from luckygas.predictions import service
from luckygas.predictions.models import KindDemand, Prediction, PredictionError, Suggestion
from luckygas.resources import Resources

PREDICTIONS, SUGGESTIONS = "/api/v1/predictions", "/api/v1/suggestions"
TAIPEI = ZoneInfo("Asia/Taipei")
LINES = [{"cylinder_kg": 20, "quantity": 2}]


@pytest.fixture
def today(app: Flask) -> date:
    return Resources.of(app).today()


def order(session: Session, customer: Customer, day: date, *, delivered: bool = True) -> int:
    """Store an order as it was placed on a day."""
    body = OrderIn.model_validate(order_body(customer.id), strict=False)
    row = orders.place(session, order=body, by="tests", today=day)
    row.placed_at = datetime(day.year, day.month, day.day, 10, tzinfo=TAIPEI)
    if delivered:
        for to in (OrderStatus.SCHEDULED, OrderStatus.OUT, OrderStatus.DELIVERED):
            orders.move(session, order_id=row.id, to=to, by="tests")
    session.flush()
    return row.id


def regular(session: Session, today: date, *, every: int = 10, ago: int = 10, **changes: object) -> Customer:
    """Store a customer who orders on the day and of whom the last order is so many days old."""
    customer = make_customer(session, kind="restaurant", **changes)
    for number in reversed(range(8)):
        order(session, customer, today - timedelta(days=ago + every * number))
    return customer


def night(session: Session, today: date) -> None:
    service.learn(session, today=today, zone=TAIPEI)
    last: int | None = 0
    while last is not None:
        last = service.predict(session, after_id=last, today=today, zone=TAIPEI)
    session.expire_all()


def suggestion_for(client: FlaskClient, customer: Customer) -> dict:
    (found,) = client.get(SUGGESTIONS, query_string={"customer_id": customer.id, "status": "open"}).json["items"]
    return found


def open_for(client: FlaskClient, customer: Customer) -> int:
    return len(client.get(SUGGESTIONS, query_string={"customer_id": customer.id, "status": "open"}).json["items"])


def prices(client: FlaskClient, today: date) -> None:
    for size in (16, 20):
        body = {"cylinder_kg": size, "unit_price_twd": 850, "valid_from": f"{today}"}
        assert client.post("/api/v1/prices", json=body).status_code == 201


def test_who_orders_regularly_is_predicted_and_listed_by_day(client, session, today) -> None:
    customer = regular(session, today, ago=4)
    make_customer(session)
    night(session, today)
    (found,) = client.get(PREDICTIONS, query_string={"customer_id": customer.id}).json["items"]
    assert abs((date.fromisoformat(found["due_on"]) - today).days - 6) <= 1
    assert (found["intervals"], found["made_on"]) == (7, f"{today}")
    due = {"due_on": found["due_on"]}
    assert [item["customer_id"] for item in client.get(PREDICTIONS, query_string=due).json["items"]] == [customer.id]
    assert open_for(client, customer) == 0


def test_what_is_due_tomorrow_is_suggested_once_with_what_they_usually_take(client, session, today) -> None:
    told = regular(session, today, usual_cylinders=[{"cylinder_kg": 16, "quantity": 3}])
    untold = regular(session, today)
    for _ in range(2):
        night(session, today)
    assert suggestion_for(client, told)["lines"] == [{"cylinder_kg": 16, "quantity": 3}]
    found = suggestion_for(client, untold)
    assert (found["lines"], found["for_day"]) == (LINES, f"{today + timedelta(days=1)}")
    night(session, today + timedelta(days=1))
    assert suggestion_for(client, untold) == found | {"for_day": f"{today + timedelta(days=2)}"}
    night(session, today + timedelta(days=90))  # long after they should have ordered
    assert suggestion_for(client, untold) == found | {"for_day": f"{today + timedelta(days=91)}"}


def test_a_clock_that_was_years_behind_for_a_night_changes_nothing(client, session, today) -> None:
    customer = regular(session, today)
    night(session, today - timedelta(days=5000))
    assert open_for(client, customer) == 0
    (early,) = client.get(PREDICTIONS, query_string={"customer_id": customer.id}).json["items"]
    night(session, today)
    (found,) = client.get(PREDICTIONS, query_string={"customer_id": customer.id}).json["items"]
    assert (found["due_on"], open_for(client, customer)) == (early["due_on"], 1)


def test_an_order_placed_after_the_clock_was_set_back_is_taken_by_its_day(client, session, today) -> None:
    customer = regular(session, today)
    order(session, customer, today - timedelta(days=15))
    night(session, today)
    (found,) = client.get(PREDICTIONS, query_string={"customer_id": customer.id}).json["items"]
    assert (found["intervals"], found["due_on"] > f"{today - timedelta(days=10)}") == (8, True)
    # The next one is held against what was predicted, not one that was known by then.
    order(session, customer, today)
    night(session, today)
    assert session.scalars(select(PredictionError.ordered_on)).all() == [today]


@pytest.mark.parametrize("ago", [3, 45])
def test_nothing_is_suggested_to_who_has_enough_or_is_long_gone(client, session, today, ago) -> None:
    customer = regular(session, today, ago=ago)
    night(session, today)
    assert open_for(client, customer) == 0


def test_nothing_is_suggested_to_who_waits_for_an_order(client, session, today) -> None:
    customer = regular(session, today, ago=12)
    order(session, customer, today - timedelta(days=11), delivered=False)
    night(session, today)
    assert open_for(client, customer) == 0


def test_an_accepted_suggestion_is_one_order_however_often_it_is_accepted(client, session, today) -> None:
    prices(client, today)
    customer = regular(session, today)
    night(session, today)
    path = f"{SUGGESTIONS}/{suggestion_for(client, customer)['id']}/accept"
    first, second = (client.post(path, json={}) for _ in range(2))
    assert (first.status_code, first.json["status"]) == (200, "accepted")
    assert second.json == first.json
    placed = client.get("/api/v1/orders", query_string={"customer_id": customer.id, "status": "placed"}).json["items"]
    assert [item["id"] for item in placed] == [first.json["order_id"]]
    assert placed[0]["wanted_on"] == f"{today + timedelta(days=1)}"
    assert placed[0]["total_twd"] == 1700
    assert client.post(path.replace("accept", "dismiss"), json={"reason": "x"}).status_code == 409
    night(session, today + timedelta(days=1))
    assert open_for(client, customer) == 0


def test_the_customer_may_take_something_else(client, session, today) -> None:
    prices(client, today)
    customer = regular(session, today)
    night(session, today)
    path = f"{SUGGESTIONS}/{suggestion_for(client, customer)['id']}/accept"
    twice = {"lines": [{"cylinder_kg": 16, "quantity": 1}, {"cylinder_kg": 16, "quantity": 1}]}
    assert client.post(path, json=twice).status_code == 422
    accepted = client.post(path, json={"lines": [{"cylinder_kg": 16, "quantity": 1}]}).json
    assert client.get(f"/api/v1/orders/{accepted['order_id']}").json["lines"] == [
        {"cylinder_kg": 16, "quantity": 1, "unit_price_twd": 850}
    ]


def test_without_a_price_it_stays_a_suggestion_and_says_so(client, session, today) -> None:
    customer = regular(session, today)
    night(session, today)
    found = suggestion_for(client, customer)
    refused = client.post(f"{SUGGESTIONS}/{found['id']}/accept", json={})
    assert refused.status_code == 409
    assert "the list has no price for 20 kg" in refused.json["detail"]
    assert suggestion_for(client, customer) == found


def test_who_has_ordered_by_themselves_gets_no_second_order(client, session, today) -> None:
    prices(client, today)
    customer = regular(session, today)
    night(session, today)
    found = suggestion_for(client, customer)
    order(session, customer, today, delivered=False)
    refused = client.post(f"{SUGGESTIONS}/{found['id']}/accept", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "wrong_state")
    night(session, today)
    assert client.get(f"{SUGGESTIONS}/{found['id']}").json["status"] == "ordered"


@pytest.mark.parametrize(("wait", "count"), [(None, 0), (5, 0), (2, 1)])
def test_a_dismissed_suggestion_comes_back_when_it_was_said_to(client, session, today, wait, count) -> None:
    customer = regular(session, today)
    night(session, today)
    body = {"reason": "還有一支滿的"} | ({"again_on": f"{today + timedelta(days=wait)}"} if wait else {})
    dismissed = client.post(f"{SUGGESTIONS}/{suggestion_for(client, customer)['id']}/dismiss", json=body)
    assert (dismissed.status_code, dismissed.json["status"], dismissed.json["order_id"]) == (200, "dismissed", None)
    night(session, today + timedelta(days=1))
    assert open_for(client, customer) == count


def test_a_prediction_stands_until_the_order_and_is_then_held_against_it(client, session, today) -> None:
    customer = regular(session, today, ago=4)
    night(session, today)
    made = session.get(Prediction, customer.id).due_on
    night(session, today + timedelta(days=1))
    assert session.get(Prediction, customer.id).made_on == today
    came = order(session, customer, today)
    night(session, today)
    error = session.get(PredictionError, came)
    assert (error.due_on, error.ordered_on, error.kind) == (made, today, "restaurant")
    assert session.get(Prediction, customer.id).order_id == came
    (found,) = client.get(f"{PREDICTIONS}/accuracy").json["items"]
    off = [abs((day - today).days) for day in (made, error.by_last_interval, error.by_mean_interval)]
    assert [found[f"{way}error_days"] for way in ("", "last_interval_", "mean_interval_")] == off
    assert found["orders"] == 1
    service.forget(session, today=today + timedelta(days=401))
    assert client.get(f"{PREDICTIONS}/accuracy").json["items"] == []


def test_a_cancelled_order_says_nothing(session, today) -> None:
    customer = regular(session, today, ago=4)
    cancelled = order(session, customer, today - timedelta(days=1), delivered=False)
    night(session, today)
    assert session.get(Prediction, customer.id).order_id == cancelled
    orders.move(session, order_id=cancelled, to=OrderStatus.CANCELLED, by="tests")
    night(session, today)
    assert session.get(Prediction, customer.id).order_id < cancelled
    assert session.scalars(select(PredictionError)).all() == []


def test_two_orders_on_one_day_are_one(session, today) -> None:
    customer = make_customer(session)
    for ago in (60, 60, 0, 0):
        order(session, customer, today - timedelta(days=ago))
    night(session, today)
    found = session.get(Prediction, customer.id)
    assert found.intervals == 1
    assert found.by_last_interval == today + timedelta(days=60)


def test_the_night_goes_through_all_customers_in_batches(
    committing_app: Flask, environ, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    assert SCHEDULE["predictions.nightly"] == "10 20 * * *"
    monkeypatch.setattr(queue, "SCHEDULE", {})  # what begins because of the time of day would be left in the queue
    sessions, today = Resources.of(committing_app).sessions, Resources.of(committing_app).today()
    with sessions.begin() as session:
        for _ in range(5):
            regular(session, today)
        enqueue(session, "predictions.nightly")
    for _ in range(5):  # a worker that does not wait leaves what the last job enqueued to the next one
        worker.run(settings, WorkerSettings.from_environ(environ), wait=False)
    with sessions.begin() as session:
        assert session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
        assert session.scalar(text("SELECT count(*) FROM predictions")) == 5
        assert len(session.scalars(select(Suggestion)).all()) == 5
        assert len(session.scalars(select(KindDemand)).all()) == 3
        assert session.scalar(text("SELECT count(*) FROM job_failures")) == 0
