from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import TOTP
from sqlalchemy import select
from sqlalchemy.orm import Session

from factories import PASSWORD, make_person
from luckygas.accounts import login
from luckygas.accounts.models import LoginAttempts, WebSession
from luckygas.accounts.schemas import LoginIn
from luckygas.errors import Problem

NOW = datetime.now(UTC)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105


def attempt(
    session: Session, name: str, password: str = PASSWORD, code: str | None = None, now: datetime = NOW
) -> login.LoggedIn | Problem:
    credentials = LoginIn(login=name, password=password, code=code)
    return login.log_in(session, credentials=credentials, agent="Tests", address="192.0.2.1", now=now)


def test_whoever_has_the_password_gets_a_session_of_which_the_token_is_not_stored(session: Session) -> None:
    person = make_person(session)
    outcome = attempt(session, person.login)
    assert outcome.person is person
    row = session.scalars(select(WebSession)).one()
    assert (row.person_id, row.agent, row.address) == (person.id, "Tests", "192.0.2.1")
    assert outcome.token.encode() not in row.id


def test_a_wrong_password_a_wrong_name_and_a_disabled_person_cannot_be_told_apart(session: Session) -> None:
    person, disabled = make_person(session), make_person(session, disabled_at=NOW)
    refusals = [attempt(session, person.login, "wrong"), attempt(session, "nobody"), attempt(session, disabled.login)]
    assert {type(refusal) for refusal in refusals} == {login.LoginRefused}
    assert len({refusal.detail for refusal in refusals}) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_after_some_failures_one_has_to_wait_whether_or_not_the_name_exists(session: Session, *, exists: bool) -> None:
    name = make_person(session).login if exists else "nobody"
    for _ in range(login.FREE_FAILURES):
        assert isinstance(attempt(session, name, "wrong"), login.LoginRefused)
    locked = attempt(session, name)
    assert isinstance(locked, login.LoginLocked)
    assert locked.headers == {"Retry-After": "31"}
    later = NOW + login.FIRST_WAIT
    assert isinstance(attempt(session, name, now=later), login.LoggedIn if exists else login.LoginRefused)


def test_each_further_failure_doubles_the_wait_and_a_log_in_forgets_them_all(session: Session) -> None:
    name, now = make_person(session).login, NOW
    for _ in range(login.FREE_FAILURES + 1):
        attempt(session, name, "wrong", now=now)
        now += login.FIRST_WAIT
    assert isinstance(attempt(session, name, now=now), login.LoginLocked)
    assert isinstance(attempt(session, name, now=now + login.FIRST_WAIT), login.LoggedIn)
    assert session.get(LoginAttempts, name) is None


def test_failures_are_forgiven_after_a_day(session: Session) -> None:
    for _ in range(login.FREE_FAILURES - 1):
        attempt(session, "nobody", "wrong")
    attempt(session, "nobody", "wrong", now=NOW + login.FORGIVEN_AFTER + timedelta(seconds=1))
    assert session.get_one(LoginAttempts, "nobody").failures == 1


@given(st.integers(0, 10**9))
def test_the_wait_grows_and_has_an_end(failures: int) -> None:
    wait, next_wait = login.wait_after(failures), login.wait_after(failures + 1)
    assert timedelta() <= wait <= next_wait <= login.LONGEST_WAIT
    assert bool(wait) == (failures >= login.FREE_FAILURES)


def test_with_an_app_the_password_alone_is_not_enough_and_a_code_is_good_once(session: Session) -> None:
    name = make_person(session, totp_secret=SECRET, totp_confirmed_at=NOW).login
    assert isinstance(attempt(session, name), login.TotpCodeNeeded)
    assert isinstance(attempt(session, name, "wrong"), login.LoginRefused), "nobody learns that there is an app"
    code = TOTP(SECRET).at(NOW)
    assert isinstance(attempt(session, name, code=code), login.LoggedIn)
    assert isinstance(attempt(session, name, code=code), login.LoginRefused)


def test_a_code_that_is_missing_counts_as_no_failure_and_a_wrong_one_does(session: Session) -> None:
    name = make_person(session, totp_secret=SECRET, totp_confirmed_at=NOW).login
    for _ in range(login.FREE_FAILURES + 1):
        assert isinstance(attempt(session, name), login.TotpCodeNeeded)
    near = {TOTP(SECRET).at(NOW + timedelta(seconds=seconds)) for seconds in (-30, 0, 30)}
    wrong = next(code for code in ("000000", "000001", "000002", "000003") if code not in near)
    for _ in range(login.FREE_FAILURES):
        attempt(session, name, code=wrong)
    assert isinstance(attempt(session, name), login.LoginLocked)
