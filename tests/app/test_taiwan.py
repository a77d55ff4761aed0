import pytest
from hypothesis import given
from hypothesis import strategies as st

from luckygas.taiwan import normalise_mobile, normalise_tax_number, passes_tax_check

DIGITS = st.text("0123456789", min_size=8, max_size=8)
FULL_WIDTH = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)} | {ord(" "): 0x3000}


@pytest.mark.parametrize(
    "written",
    [
        "0912345678",
        "0912-345-678",
        "0912 345 678",
        "+886 912 345 678",
        "+886-912-345-678",
        "0912345678".translate(FULL_WIDTH),
        "+886 912 345 678".translate(FULL_WIDTH),
    ],
)
def test_a_mobile_number_is_understood_however_it_is_written(written: str) -> None:
    assert normalise_mobile(written) == "0912345678"


@given(DIGITS, st.sampled_from(["09", "+8869"]), st.sampled_from([{}, FULL_WIDTH]))
def test_every_mobile_number_is_normalised_once_and_for_all(digits: str, prefix: str, width: dict) -> None:
    written = f"{prefix}{digits[:2]}-{digits[2:5]} {digits[5:]}"
    normalised = normalise_mobile(written.translate(width))
    assert normalised == f"09{digits}"
    assert normalise_mobile(normalised) == normalised


@pytest.mark.parametrize(
    "written",
    [
        "",
        "912345678",
        "091234567",
        "09123456789",
        "0812345678",
        "02-2345-6789",
        "+88609123456",
        "+81912345678",
        "0912x45678",
        "0912\0345678",
    ],
)
def test_what_is_not_a_mobile_number_is_refused_with_the_way_out(written: str) -> None:
    with pytest.raises(ValueError, match="write it as 0912345678"):
        normalise_mobile(written)


@pytest.mark.parametrize("number", ["04595257", "22099131", "12345675", "10458575", "10458574"])
def test_known_tax_numbers_pass(number: str) -> None:
    assert normalise_tax_number(number) == number


def test_a_full_width_tax_number_becomes_ascii() -> None:
    assert normalise_tax_number(" 04595257 ".translate(FULL_WIDTH)) == "04595257"


@pytest.mark.parametrize(
    "number", ["04595258", "22099132", "00000000", "0459525", "045952570", "0459525x", "-4595257", ""]
)
def test_wrong_tax_numbers_are_refused(number: str) -> None:
    with pytest.raises(ValueError, match="統一編號"):
        normalise_tax_number(number)


def digit_sum(number: int) -> int:
    return sum(int(digit) for digit in str(number))


@given(DIGITS)
def test_the_check_rule_agrees_with_its_wording(digits: str) -> None:
    """The rule as the tax office words it: weigh, sum the digits, divide by 5; a seventh 7 counts as 1 or as 0."""
    weighted = [int(digit) * weight for digit, weight in zip(digits, [1, 2, 1, 2, 1, 2, 4, 1], strict=True)]
    totals = {sum(map(digit_sum, weighted))}
    if digits[6] == "7":
        others = sum(map(digit_sum, weighted[:6] + weighted[7:]))
        totals = {others + 1, others}
    assert passes_tax_check(digits) == any(total % 5 == 0 for total in totals)
