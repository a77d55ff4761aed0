from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from factories import PEPPER, make_key
from luckygas.access import Permission, Principal, Role, Tier
from luckygas.accounts import service
from luckygas.accounts.keys import Key
from luckygas.accounts.models import ApiKey
from luckygas.errors import Forbidden, Invalid, NotFound, Unauthenticated

NOW = datetime.now(UTC)


def refusal(session: Session, presented: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        service.authenticate(session, pepper=PEPPER, presented=presented, now=NOW)
    return caught.value


def test_a_key_is_recognised_with_its_role(session: Session) -> None:
    key = make_key(session, role=Role.DRIVER)
    row = service.authenticate(session, pepper=PEPPER, presented=key.reveal(), now=NOW)
    principal = service.principal_of(row)
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


def test_a_key_is_known_by_each_of_several_peppers(session: Session) -> None:
    key = make_key(session)
    for peppers in (f"{PEPPER}\nanother pepper", f"another pepper\n{PEPPER}"):
        assert service.authenticate(session, pepper=peppers, presented=key.reveal(), now=NOW).id == key.id
    assert service.mac_of(key.reveal(), pepper=f"another pepper\n{PEPPER}") == key.mac(pepper="another pepper")


def test_keys_that_were_not_used_since_a_moment_are_found(session: Session) -> None:
    idle, used, unused = (make_key(session, name=name) for name in ("idle", "used", "never used"))
    for key, hours in ((idle, 1), (used, 3)):
        session.get_one(ApiKey, key.id).last_used_at = NOW + timedelta(hours=hours)
    for key in (idle, used, unused):
        session.get_one(ApiKey, key.id).created_at = NOW
    found = service.list_keys(session, unused_since=NOW + timedelta(hours=2))
    assert {key.id for key in found} == {idle.id, unused.id}
    assert not {key.id for key in service.list_keys(session, unused_since=NOW)} & {idle.id, used.id, unused.id}


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


def test_revoking_nothing_says_so(session: Session) -> None:
    with pytest.raises(NotFound, match="there is no key"):
        service.revoke_key(session, key_id="00000000", now=NOW)


# --- scopes and rotation ---


def test_scopes_leave_less_than_the_role_grants(session: Session) -> None:
    key = create(session, role=Role.SERVICE, scopes=[Permission.ORDERS_READ])
    principal = service.principal_of(session.get_one(ApiKey, key.id))
    assert principal.may(Permission.ORDERS_READ)
    assert not principal.may(Permission.ORDERS_WRITE)


def test_scopes_never_leave_more_than_the_role_grants(session: Session) -> None:
    with pytest.raises(Invalid) as caught:
        create(session, role=Role.DRIVER, scopes=[Permission.ORDERS_WRITE])
    assert caught.value.errors[0].field == "scopes"


@given(role=st.sampled_from(Role), scopes=st.none() | st.frozensets(st.sampled_from(Permission)))
def test_nobody_gives_more_than_they_have(role: Role, scopes: frozenset[Permission] | None) -> None:
    for giver in (
        Principal("g", each, scopes=limits) for each in Role for limits in (None, frozenset({"orders:read"}))
    ):
        given_away = {permission for permission in Permission if Principal("k", role, scopes=scopes).may(permission)}
        may = given_away <= {permission for permission in Permission if giver.may(permission)}
        try:
            service.forbid_more_than(giver, role=role, scopes=scopes)
        except Forbidden:
            assert not may
        else:
            assert may


def test_a_successor_may_do_the_same_and_both_are_good_for_a_week(session: Session) -> None:
    old = create(session, role=Role.SERVICE, tier=Tier.PREMIUM, scopes=[Permission.ORDERS_READ])
    new = rotate(session, old)
    rows = [session.get_one(ApiKey, key.id) for key in (old, new)]
    assert rows[1].replaces == old.id
    assert len({(row.name, row.role, row.tier, tuple(row.scopes), row.owner_id) for row in rows}) == 1
    assert {row.state(now=NOW + timedelta(days=7) - timedelta(seconds=1)) for row in rows} == {"usable"}
    assert [row.state(now=NOW + timedelta(days=7)) for row in rows] == ["expired", "usable"]


def test_a_rotation_never_prolongs_the_old_key(session: Session) -> None:
    old = make_key(session, days=3)
    ends = session.get_one(ApiKey, old.id).expires_at
    rotate(session, old)
    assert session.get_one(ApiKey, old.id).expires_at == ends


def test_a_key_has_one_successor_and_what_is_over_has_none(session: Session) -> None:
    old = make_key(session)
    new = rotate(session, old)
    with pytest.raises(service.KeyState, match=f"was replaced by {new.id}"):
        rotate(session, old)
    service.revoke_key(session, key_id=new.id, now=NOW)
    with pytest.raises(service.KeyState, match="is revoked"):
        rotate(session, new)


def test_keys_are_found_by_how_they_begin(session: Session) -> None:
    keys = [make_key(session) for _ in range(5)]
    found = service.find_keys(session, prefix=keys[2].id[:6], owner_id=None, before_number=2**62, count=10)
    assert [row.id for row in found] == [keys[2].id]
    assert not service.find_keys(session, prefix="%", owner_id=None, before_number=2**62, count=10)


def create(session: Session, **changes: object) -> Key:
    terms = {"name": "tests", "role": Role.ADMIN, "expires_at": NOW + timedelta(days=90)} | changes
    return service.create_key(session, pepper=PEPPER, **terms)


def rotate(session: Session, key: Key) -> Key:
    return service.rotate_key(session, pepper=PEPPER, key_id=key.id, now=NOW, expires_at=NOW + timedelta(days=90))
