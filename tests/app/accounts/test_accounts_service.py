from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from factories import PEPPER, make_key
from luckygas.access import Role
from luckygas.accounts import service
from luckygas.accounts.keys import Key
from luckygas.accounts.models import ApiKey
from luckygas.errors import NotFound, Unauthenticated

NOW = datetime.now(UTC)


def refusal(session: Session, presented: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        service.authenticate(session, pepper=PEPPER, presented=presented, now=NOW)
    return caught.value


def test_a_key_is_recognised_with_its_role(session: Session) -> None:
    key = make_key(session, role=Role.DRIVER)
    principal = service.authenticate(session, pepper=PEPPER, presented=key.reveal(), now=NOW)
    assert (principal.id, principal.role) == (f"key:{key.id}", Role.DRIVER)


def test_the_secret_itself_is_not_stored(session: Session) -> None:
    key = make_key(session)
    row = session.get_one(ApiKey, key.id)
    assert row.secret_mac == key.mac(pepper=PEPPER)
    assert key.secret.encode() not in row.secret_mac


def test_an_unknown_id_a_wrong_secret_and_nonsense_cannot_be_told_apart(session: Session) -> None:
    key = make_key(session)
    unknown = Key(id="00000000", secret=key.secret).reveal()
    wrong = Key(id=key.id, secret="x" * 43).reveal()
    refusals = [refusal(session, presented) for presented in (unknown, wrong, "nonsense")]
    assert len({(refused.detail, refused.code, tuple(refused.headers.items())) for refused in refusals}) == 1


def test_a_wrong_secret_does_not_learn_that_the_key_was_revoked(session: Session) -> None:
    key = make_key(session)
    service.revoke_key(session, key_id=key.id, now=NOW)
    assert "revoked" not in refusal(session, Key(id=key.id, secret="x" * 43).reveal()).detail


def test_the_holder_of_a_revoked_key_is_told(session: Session) -> None:
    key = make_key(session)
    service.revoke_key(session, key_id=key.id, now=NOW)
    assert (
        refusal(session, key.reveal()).detail
        == f"the API key {key.id} is revoked since {NOW:%Y-%m-%d}: ask for a new one"
    )


def test_the_holder_of_an_expired_key_is_told(session: Session) -> None:
    key = make_key(session, days=-1)
    assert "is expired since" in refusal(session, key.reveal()).detail


def test_a_key_ends_at_its_second(session: Session) -> None:
    key = make_key(session)
    row = session.get_one(ApiKey, key.id)
    assert row.state(now=row.expires_at - timedelta(microseconds=1)) == "usable"
    assert row.state(now=row.expires_at) == "expired"


def test_a_key_made_with_another_pepper_is_not_recognised(session: Session) -> None:
    key = make_key(session)
    with pytest.raises(Unauthenticated):
        service.authenticate(session, pepper="another pepper", presented=key.reveal(), now=NOW)


def test_the_last_use_is_kept_to_five_minutes(session: Session) -> None:
    key = make_key(session)
    kept = []
    for minutes in (0, 4, 6):
        now = NOW + timedelta(minutes=minutes)
        service.authenticate(session, pepper=PEPPER, presented=key.reveal(), now=now)
        session.expire_all()
        kept.append(session.get_one(ApiKey, key.id).last_used_at)
    assert kept == [NOW, NOW, NOW + timedelta(minutes=6)]


def test_only_a_usable_key_counts_as_one(session: Session) -> None:
    make_key(session, name="expired", days=-1)
    service.revoke_key(session, key_id=make_key(session, name="revoked").id, now=NOW)
    make_key(session, name="good")
    names = ["expired", "revoked", "good", "nobody"]
    assert [service.has_usable_key(session, name=name, now=NOW) for name in names] == [False, False, True, False]


def test_revoking_twice_keeps_the_first_moment(session: Session) -> None:
    key = make_key(session)
    service.revoke_key(session, key_id=key.id, now=NOW)
    later = service.revoke_key(session, key_id=key.id, now=NOW + timedelta(days=1))
    assert later.revoked_at == NOW


def test_revoking_nothing_says_where_ids_are_found(session: Session) -> None:
    with pytest.raises(NotFound, match="luckygas-app key list"):
        service.revoke_key(session, key_id="00000000", now=NOW)
