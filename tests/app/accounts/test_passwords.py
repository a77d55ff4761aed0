import time

import pytest
from argon2 import PasswordHasher

from luckygas.accounts import passwords


def test_a_password_is_kept_as_owasp_says() -> None:
    kept = passwords.digest("three small green cups")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.fits(kept, "three small green cups")
    assert not passwords.fits(kept, "three small green cup")
    assert kept != passwords.digest("three small green cups")


def test_for_nobody_it_takes_as_long_and_nothing_fits() -> None:
    kept, times = passwords.digest("a"), {}
    for name, hashed in {"somebody": kept, "nobody": None}.items():
        began = time.process_time()  # which does not go on while others have the processor
        for _ in range(5):
            assert not passwords.fits(hashed, "b")
        times[name] = time.process_time() - began
    assert 0.2 < times["somebody"] / times["nobody"] < 5


def test_what_was_kept_with_other_parameters_is_known_as_outdated() -> None:
    assert passwords.is_outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("a"))
    assert not passwords.is_outdated(passwords.digest("a"))


def test_a_first_password_is_good_enough_for_its_owner_and_no_two_are_alike() -> None:
    generated = {passwords.generate() for _ in range(200)}
    assert len(generated) == 200
    assert not [password for password in generated if passwords.weakness(password, login="meiling")]


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "too short"),
        ("aaaaaaaaaaaaaaaa", "too uniform"),
        ("Mei Ling likes gas", "log-in name"),
        ("臺北市大同區民生西路四十五號", None),
    ],
)
def test_a_weak_password_is_told_why(password: str, why: str | None) -> None:
    found = passwords.weakness(password, login="meiling")
    assert (found is None) if why is None else (why in found)
