from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pyotp import TOTP

from luckygas.accounts import totp

# The secret and the codes of RFC 6238, appendix B, of which apps show the last six digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105
NOW = datetime.fromtimestamp(1111111109, UTC)
STEP = 1111111109 // 30


def test_the_codes_are_those_of_the_standard() -> None:
    assert totp.accepted_step(SECRET, "081804", last_step=None, now=NOW) == STEP
    assert totp.accepted_step(SECRET, "081805", last_step=None, now=NOW) is None


@given(st.integers(-120, 120))
def test_a_clock_may_be_wrong_by_half_a_minute(seconds: int) -> None:
    accepted = totp.accepted_step(SECRET, "081804", last_step=None, now=NOW + timedelta(seconds=seconds))
    steps = abs(int(NOW.timestamp() + seconds) // 30 - STEP)
    assert (accepted == STEP) == (steps <= 1)


def test_a_code_is_good_once() -> None:
    assert totp.accepted_step(SECRET, "081804", last_step=STEP, now=NOW) is None
    assert totp.accepted_step(SECRET, TOTP(SECRET).generate_otp(STEP + 1), last_step=STEP, now=NOW) == STEP + 1


def test_an_app_is_told_whose_code_it_is() -> None:
    assert totp.uri(SECRET, login="meiling") == f"otpauth://totp/Lucky%20Gas:meiling?secret={SECRET}&issuer=Lucky%20Gas"
