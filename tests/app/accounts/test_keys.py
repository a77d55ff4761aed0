import hashlib
import hmac
import re

import pytest

from luckygas.accounts.keys import Key


def test_a_key_has_the_form_that_scanners_can_look_for() -> None:
    assert re.fullmatch(r"lg_live_[0-9a-z]{8}_[0-9A-Za-z]{43}", Key.generate().reveal())


def test_no_two_keys_share_an_id_or_a_secret() -> None:
    keys = [Key.generate() for _ in range(500)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 500


def test_a_key_is_read_back_as_it_was_revealed() -> None:
    key = Key.generate()
    assert Key.parse(key.reveal()) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lg_live_abcdefgh",
        "lg_test_abcdefgh_" + "A" * 43,
        "lg_live_ABCDEFGH_" + "A" * 43,
        "lg_live_abcdefgh_" + "A" * 42,
        "lg_live_abcdefgh_" + "A" * 44,
        "lg_live_abcdefgh_" + "A" * 42 + "é",
        "lg_live_abcdefgh_" + "A" * 43 + "\n",
    ],
)
def test_what_is_no_key_is_not_read(text: str) -> None:
    assert Key.parse(text) is None


def test_what_is_stored_depends_on_the_secret_and_on_the_pepper() -> None:
    key = Key(id="abcdefgh", secret="s" * 43)
    assert key.mac(pepper="p") == hmac.new(b"p", b"s" * 43, hashlib.sha256).digest()
    assert key.mac(pepper="p") != key.mac(pepper="q")


def test_a_key_does_not_show_its_secret() -> None:
    key = Key.generate()
    assert key.secret not in repr(key)
