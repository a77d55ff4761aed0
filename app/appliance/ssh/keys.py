"""Who may log in by a key: where nobody may, passwords are all that the operator has."""

import re
from collections.abc import Iterable
from pathlib import Path

PASSWD, SHELLS = Path("/etc/passwd"), Path("/etc/shells")
FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
KEY = re.compile(r"(^|\s)(ssh-|ecdsa-sha2-|sk-)[\w@.-]+ +AAAA")
# A key that runs a command, such as the one by which an image tells root to come as somebody else, lets nobody in.
COMMAND = re.compile(r"^[^#]*\bcommand=")


def who(passwd: Path = PASSWD, shells: Path = SHELLS, root: Path = Path("/")) -> list[str]:
    """Return the accounts with a shell that have a key."""
    known = {line.strip() for line in shells.read_text().splitlines() if line.startswith("/")}
    fields = (line.split(":") for line in passwd.read_text().splitlines())
    return [
        name
        for name, _, _, _, _, home, shell in fields
        if (shell in known and any(lets_in(root / home.lstrip("/") / file) for file in FILES))
    ]


def lets_in(file: Path) -> bool:
    """Tell whether a list of keys has one by which somebody gets a shell."""
    return file.is_file() and has_key(file.read_text(errors="replace").splitlines())


def has_key(lines: Iterable[str]) -> bool:
    """Tell whether one of the lines lets somebody in."""
    return any(
        KEY.search(line) and not COMMAND.search(line.split("AAAA")[0])
        for line in lines
        if not line.lstrip().startswith("#")
    )
