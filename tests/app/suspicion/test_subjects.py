import pytest

from luckygas.suspicion.subjects import Trusted, parse

TRUSTED = Trusted.parse("203.0.113.0/24 2001:db8:1::/48 192.0.2.7 key:ab12cd34 person:7")


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("203.0.113.9", "address:203.0.113.9"),
        ("address:203.0.113.9", "address:203.0.113.9"),
        ("2001:db8:1:2::3", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "address:2001:db8:1:2::/64"),
        ("key:ab12cd34", "key:ab12cd34"),
        ("person:7", "person:7"),
        ("partner:banking", "partner:banking"),
    ],
)
def test_operators_may_write_subjects_as_they_know_them(text: str, subject: str) -> None:
    assert parse(text) == subject


@pytest.mark.parametrize("text", ["", "203.0.113.0/24", "127.0.0.1", "::1", "key:short", "wang", "::/0"])
def test_what_is_no_subject_or_would_stop_too_many_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"none: write|this machine itself"):
        parse(text)


@pytest.mark.parametrize(
    ("subject", "is_trusted"),
    [
        ("address:203.0.113.9", True),
        ("address:203.0.114.9", False),
        ("address:192.0.2.7", True),
        ("address:2001:db8:1:2::/64", True),
        ("address:2001:db8:2:2::/64", False),
        ("key:ab12cd34", True),
        ("key:ab12cd35", False),
        ("person:7", True),
        ("person:77", False),
    ],
)
def test_the_trusted_are_networks_keys_and_persons(subject: str, *, is_trusted: bool) -> None:
    assert (subject in TRUSTED) == is_trusted


@pytest.mark.parametrize("text", ["203.0.113.9/24", "key:x", "office"])
def test_a_trusted_that_nobody_is_stops_the_service_from_starting(text: str) -> None:
    with pytest.raises(ValueError, match="is no network such as"):
        Trusted.parse(text)
