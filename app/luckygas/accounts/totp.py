"""Codes of an authenticator app (RFC 6238): six digits that change every half minute, each good for one use."""

import hmac
from datetime import datetime
from typing import Final

import pyotp

ISSUER: Final = "Lucky Gas"
STEP_SECONDS: Final = 30
# A clock may be wrong by half a minute either way.
_TOLERATED_STEPS: Final = (0, -1, 1)


def new_secret() -> str:
    """Return a secret to be shared with one app: 160 random bits in base32."""
    return pyotp.random_base32()


def uri(secret: str, *, login: str) -> str:
    """Return what an app reads as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def accepted_step(secret: str, code: str, *, last_step: int | None, now: datetime) -> int | None:
    """Return the half minute that `code` belongs to, or None if it is wrong, old, or was used before."""
    current = int(now.timestamp()) // STEP_SECONDS
    for step in (current + offset for offset in _TOLERATED_STEPS):
        expected = pyotp.TOTP(secret).generate_otp(step)
        if hmac.compare_digest(expected.encode(), code.encode()) and (last_step is None or step > last_step):
            return step
    return None
