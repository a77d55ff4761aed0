"""Reading the environment and the credentials directory, keeping every problem for one report."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

# What could be a password inside of a URL or a libpq string, up to the last @, since passwords may contain one.
_PASSWORDS: Final = (
    (re.compile(r"(//[^/@:]*):.*@", re.DOTALL), r"\1:***@"),
    (re.compile(r"(password\s*=\s*)('[^']*'|[^&\s]*)", re.IGNORECASE), r"\1***"),
)


class SettingsError(Exception):
    """The service cannot start as it is configured; `problems` has one sentence for each thing to correct."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems and make them the message, one a line."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Reader:
    """Reads one value after the other; `finish` raises what was found wrong on the way.

    What could not be read comes back as None, so nothing may be used before `finish` has passed.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read from `environ`, and secrets from the directory that its `CREDENTIALS_DIRECTORY` names."""
        self._environ = environ
        self._credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._problems: list[str] = []

    def required[T](self, name: str, parse: Callable[[str], T], *, example: str) -> T:
        """Return the variable `name` as `parse` understands it; `parse` raises `ValueError` with the way out."""
        if name not in self._environ:
            self._problems.append(f"{name} is not set: give it a value such as {example}")
            return cast("T", None)
        return self.optional(name, parse, default="")

    def optional[T](self, name: str, parse: Callable[[str], T], *, default: str) -> T:
        """Return the variable `name`, or `default`, as `parse` understands it."""
        text = self._environ.get(name, default)
        try:
            return parse(text)
        except ValueError as error:
            self._problems.append(f"{name}={without_passwords(text)!r}: {error}")
            return cast("T", None)

    def secret(self, name: str, *, minimum_length: int = 1) -> str:
        """Return the content of the credential `name`, without the line end that editors add."""
        if self._credentials is None:
            self._problems.append(
                f"credential {name}: CREDENTIALS_DIRECTORY is not set: give the unit LoadCredential={name}:PATH"
            )
            return ""
        path = Path(self._credentials, name)
        try:
            secret = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self._problems.append(f"credential {name}: {path}: {reason}: give the unit LoadCredential={name}:PATH")
            return ""
        if len(secret) < minimum_length:
            self._problems.append(
                f"credential {name}: {path} has {len(secret)} characters: it takes at least {minimum_length}"
            )
        return secret

    def finish(self) -> None:
        """Raise one `SettingsError` if anything was wrong."""
        if self._problems:
            raise SettingsError(self._problems)


def without_passwords(text: str) -> str:
    """Return `text` with the passwords of URLs and libpq strings masked."""
    for pattern, replacement in _PASSWORDS:
        text = pattern.sub(replacement, text)
    return text
