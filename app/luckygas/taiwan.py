"""Facts of Taiwan that more than one domain needs, as pure functions."""

import re
import unicodedata
from typing import Final

CYLINDER_SIZES_KG: Final = (4, 10, 16, 20, 50)
"""Kilograms of gas in the cylinders that are sold."""

_MOBILE: Final = re.compile(r"(?:\+886|0)(9[0-9]{8})")
_LANDLINE: Final = re.compile(r"(?:\+886|0)([2-8][0-9]{7,8})")
_SEPARATORS: Final = re.compile(r"[\s()-]")
_TAX_WEIGHTS: Final = (1, 2, 1, 2, 1, 2, 4, 1)
_TAX_DIGITS: Final = re.compile(r"[0-9]{8}")
_SEVENTH: Final = 6


def normalise_mobile(text: str) -> str:
    """Return a mobile number as `09xxxxxxxx`.

    Accepts what people type: full-width digits, spaces, hyphens, the prefix +886. Raises `ValueError` for
    anything that is not a Taiwanese mobile number.
    """
    match = _MOBILE.fullmatch(_SEPARATORS.sub("", unicodedata.normalize("NFKC", text)))
    if match is None:
        raise ValueError("not a Taiwanese mobile number: write it as 0912345678 or +886 912 345 678")
    return f"0{match[1]}"


def normalise_landline(text: str) -> str:
    """Return a number of the fixed network as its digits from the area code's 0 on.

    Accepts what people type, as `normalise_mobile` does, and brackets around the area code. Raises `ValueError`.
    """
    match = _LANDLINE.fullmatch(_SEPARATORS.sub("", unicodedata.normalize("NFKC", text)))
    if match is None:
        raise ValueError("not a Taiwanese landline number: write it with its area code as 02-23456789")
    return f"0{match[1]}"


def normalise_tax_number(text: str) -> str:
    """Return a tax number (統一編號) as 8 ASCII digits.

    Raises `ValueError` when it does not have 8 digits or fails the check rule in force since April 2023.
    """
    digits = unicodedata.normalize("NFKC", text).strip()
    if _TAX_DIGITS.fullmatch(digits) is None:
        raise ValueError("not a tax number (統一編號): it has exactly 8 digits")
    # All zeros passes the arithmetic, but forms use it to say "none".
    if not passes_tax_check(digits) or digits == "00000000":
        raise ValueError("not a tax number (統一編號): its check digit is wrong, compare it with the invoice stamp")
    return digits


def passes_tax_check(digits: str) -> bool:
    """Apply the check rule to 8 digits: the digit sums of the weighted digits add up to a multiple of 5.

    A seventh digit of 7 weighs 28, whose digit sum 10 may count as 1 or as 0, so one more is accepted.
    """
    products = (int(digit) * weight for digit, weight in zip(digits, _TAX_WEIGHTS, strict=True))
    total = sum(sum(divmod(product, 10)) for product in products)
    return total % 5 == 0 or (digits[_SEVENTH] == "7" and (total + 1) % 5 == 0)
