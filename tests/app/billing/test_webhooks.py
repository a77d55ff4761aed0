import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from factories import make_order
from luckygas.audit.tables import AuditEntry
from luckygas.billing import invoices
from luckygas.billing.models import BankPayment, Invoice
from luckygas.clients.http import SIGNATURE, Account, signature
from luckygas.ledger import service as ledger
from luckygas.resources import Resources
from luckygas.web.limits import ANONYMOUS
from partners import SECRET

BANK, CENTRE = "/api/v1/webhooks/banking", "/api/v1/webhooks/einvoice"
PAID = {"id": "S-1", "account": "99880010000001", "amount_twd": 1700, "paid_at": "2026-05-01T10:00:00+08:00"}
type Send = Callable[..., TestResponse]


@pytest.fixture
def known(committing_app: Flask) -> Iterator[Flask]:
    """Let the service know the bank and the e-invoice centre."""
    before = Resources.of(committing_app)
    accounts = {name: Account(url="http://lucky@127.0.0.1:9", secret=SECRET) for name in ("banking", "einvoice")}
    settings = dataclasses.replace(before.settings, partners=accounts)
    committing_app.extensions["luckygas"] = dataclasses.replace(before, settings=settings)
    yield committing_app
    committing_app.extensions["luckygas"] = before


@pytest.fixture
def send(known: Flask) -> Send:
    def go(
        path: str, body: dict[str, Any], *, secret: str = SECRET, at: float | None = None, address: str = "127.0.0.1"
    ) -> TestResponse:
        data = json.dumps(body).encode()
        signed = signature(secret, data, at=int(time.time() if at is None else at))
        headers = {SIGNATURE: signed, "X-Forwarded-For": address}
        return known.test_client().post(path, data=data, content_type="application/json", headers=headers)

    return go


@pytest.fixture
def wanted(known: Flask) -> int:
    """Sell something, so that an invoice is wanted; return the order's id."""
    with Resources.of(known).sessions.begin() as session:
        order = make_order(session)
        sale = ledger.Sale(order_id=order.id, customer_id=order.customer_id, total_twd=order.total_twd)
        invoices.want(session, sale=sale)
        return order.id


def news(order_id: int, **changes: str) -> dict[str, str]:
    body = {"reference": f"order{order_id}", "number": "AB10000001", "random_code": "1234", "status": "issued"}
    return body | changes


def test_the_same_payment_told_at_once_by_many_is_booked_once(known: Flask, send: Send) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: send(BANK, PAID), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json["is_new"] for answer in answers) == [False] * 5 + [True]
    with Resources.of(known).sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(BankPayment)) == 1
        assert ledger.balances(session)[ledger.Account.BANK] == 1700


def test_what_the_company_says_beyond_that_is_passed_over(send: Send) -> None:
    assert send(BANK, PAID | {"branch": "0012"}).json == {"is_new": True}


def test_what_the_company_writes_is_no_attack(send: Send) -> None:
    assert send(BANK, PAID | {"remark": "1' OR '1'='1"}).json == {"is_new": True}


def test_a_time_that_says_not_of_which_zone_is_refused_by_its_name(send: Send) -> None:
    refused = send(BANK, PAID | {"paid_at": "2026-05-01T10:00:00"})
    assert (refused.status_code, [error["field"] for error in refused.json["errors"]]) == (422, ["paid_at"])


@pytest.mark.parametrize(("path", "body"), [(BANK, PAID), (CENTRE, news(1)), (BANK, {"anything": 1})])
def test_a_bad_signature_is_refused_before_anything_is_read(known: Flask, send: Send, path: str, body: dict) -> None:
    unsigned = known.test_client().post(path, json=body)
    for refused in (unsigned, send(path, body, secret="another"), send(path, body, at=time.time() - 600)):  # noqa: S106
        assert (refused.status_code, refused.json["code"]) == (401, "unauthenticated")
    with Resources.of(known).sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(BankPayment)) == 0


def test_a_company_tells_of_a_whole_day_at_once(known: Flask, send: Send) -> None:
    limit = ANONYMOUS[0].limit
    answers = [send(BANK, PAID | {"id": f"S-{number}"}, address="203.0.113.7") for number in range(limit + 40)]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    with Resources.of(known).sessions.begin() as session:
        assert set(session.scalars(select(AuditEntry.actor).where(AuditEntry.origin.is_not(None)))) == {
            "partner:banking"
        }


@pytest.mark.parametrize("digits", [13, 400, 5000])
def test_a_time_of_too_many_digits_is_no_signature(known: Flask, digits: int) -> None:
    headers = {SIGNATURE: f"t={'9' * digits},v1={'0' * 64}"}
    assert known.test_client().post(BANK, json=PAID, headers=headers).status_code == 401


def test_whoever_signs_for_nobody_is_limited_by_their_address(send: Send) -> None:
    limit = ANONYMOUS[0].limit
    answers = [send(BANK, PAID, secret="another", address="203.0.113.8") for _ in range(limit + 1)]  # noqa: S106
    assert {answer.status_code for answer in answers} <= {401, 403, 429}
    assert answers[0].status_code == 401
    assert answers[-1].status_code != 401


def test_what_is_not_configured_takes_no_message(app: Flask) -> None:
    answer = app.test_client().post(BANK, json=PAID, headers={SIGNATURE: "t=1,v1=00"})
    assert answer.status_code == 404
    assert "set LUCKYGAS_BANKING_URL" in answer.json["detail"]


def test_a_payment_of_a_wrong_form_is_refused(send: Send) -> None:
    assert send(BANK, PAID | {"amount_twd": "1700"}).status_code == 422
    assert send(BANK, PAID | {"amount_twd": 0}).status_code == 422


def test_the_centre_may_be_faster_than_our_job(known: Flask, send: Send, wanted: int) -> None:
    assert [send(CENTRE, news(wanted)).json["is_new"] for _ in range(2)] == [True, False]
    assert [send(CENTRE, news(wanted, status="void")).json["is_new"] for _ in range(2)] == [True, False]
    # What was late changes nothing: void is void.
    assert send(CENTRE, news(wanted)).json["is_new"] is False
    with Resources.of(known).sessions.begin() as session:
        row = session.scalars(select(Invoice)).one()
        assert (row.status, row.number, row.random_code) == ("void", "AB10000001", "1234")
        assert row.issued_at <= row.voided_at <= datetime.now(UTC)


def test_what_is_said_of_another_invoice_is_not_believed(send: Send, wanted: int) -> None:
    assert send(CENTRE, news(wanted + 1)).status_code == 404
    assert send(CENTRE, news(wanted)).status_code == 200
    assert send(CENTRE, news(wanted, number="AB10000002", status="void")).status_code == 404
