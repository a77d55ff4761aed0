"""The form of an API key: `lg_live_<id>_<secret>`, of which the id may be shown and logged."""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Final, Self

_ID_ALPHABET: Final = string.digits + string.ascii_lowercase
_ID_LENGTH: Final = 8
_SECRET_ALPHABET: Final = string.digits + string.ascii_letters
_SECRET_LENGTH: Final = 43  # 43 characters of 62 carry 256 bits
_FORM: Final = re.compile(rf"lg_live_([0-9a-z]{{{_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class Key:
    """A whole key, as only its holder has it."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Return a key that nobody can guess."""
        return cls(_random(_ID_ALPHABET, _ID_LENGTH), _random(_SECRET_ALPHABET, _SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the key that `text` spells, or None if it is not one."""
        match = _FORM.fullmatch(text)
        return cls(*match.groups()) if match else None

    def reveal(self) -> str:
        """Return the key as its holder sends it."""
        return f"lg_live_{self.id}_{self.secret}"

    def mac(self, *, pepper: str) -> bytes:
        """Return the 32 bytes by which the secret is recognised.

        A plain keyed hash is enough: the secret has 256 random bits, so there is nothing to slow a guesser down for.
        While a pepper is replaced there are several, one a line: what is new is made with the first.
        """
        return self.macs(pepper=pepper)[0]

    def macs(self, *, pepper: str) -> list[bytes]:
        """Return what a secret may be recognised by, for each pepper."""
        return [hmac.digest(one.encode(), self.secret.encode(), hashlib.sha256) for one in pepper.splitlines()]


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
