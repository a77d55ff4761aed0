"""Passwords: argon2id with the parameters that OWASP names for it, 19 MiB and two passes."""

import re
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

SHORTEST: Final = 12
LONGEST: Final = 128

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# A crowd that logs in must not take the memory of everybody else.
_AT_ONCE: Final = threading.BoundedSemaphore(2)
# Without letters and digits that are taken for one another: these are read out and typed.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
# For whom there is no password, checking one takes as long.
_NOBODYS: Final = _HASHER.hash(secrets.token_hex())


def generate() -> str:
    """Return a password that is handed over once and then changed by its owner; it has 79 random bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def digest(password: str) -> str:
    """Return what to keep of a password."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Tell whether `password` is the one of which `kept` was kept; never if there is none."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(kept or _NOBODYS, password) and kept is not None
        except VerificationError:
            return False


def is_outdated(kept: str) -> bool:
    """Tell whether the password was kept with other parameters than those of today."""
    return _HASHER.check_needs_rehash(kept)


def weakness(password: str, *, login: str) -> str | None:
    """Return why this is no password to be used here, or None. Length counts, not what it is made of."""
    if len(password) < SHORTEST:
        return f"too short: take at least {SHORTEST} characters, several words are easy to remember"
    if len(set(password)) < SHORTEST // 2:
        return "too uniform: take more different characters"
    if login in re.sub(r"\s", "", password.lower()):
        return "made of the log-in name: take other words"
    return None
