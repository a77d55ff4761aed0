"""Users and their passwords. One that is replaced stays valid, beside the new one, until every service has the new one.

Ansible writes who there should be (`*.wanted`); what the servers read (`*.acl`) is made from it here: while a change
rolls through it has the old passwords, too, so that neither a service nor a server that restarts is refused.
"""

import re
from pathlib import Path

from appliance.redis.settings import MANAGED
from appliance.system import write_file

FILES = MANAGED / "users.acl", MANAGED / "sentinel-users.acl"
HASH = re.compile(r" (#[0-9a-f]{64})\b")


def by_user(text: str) -> dict[str, str]:
    """Return each user's line."""
    return {line.split()[1]: line for line in text.splitlines() if line.startswith("user ")}


def with_former(wanted: str, present: str) -> str:
    """Return the wanted users, who may still use the passwords that they have at present, too."""
    had = {name: HASH.findall(line) for name, line in by_user(present).items()}
    lines = []
    for name, line in by_user(wanted).items():
        former = [one for one in had.get(name, []) if one not in line]
        start = f"user {name}"
        lines.append(" ".join([start, *former]) + line.removeprefix(start))
    return "\n".join(lines) + "\n"


def write(file: Path, *, keep_former: bool) -> bool:
    """Make what servers of one kind read from what is wanted; True when it changed."""
    wanted = file.with_suffix(".wanted")
    if not wanted.exists():
        return False
    present = file.read_text() if file.exists() else ""
    text = with_former(wanted.read_text(), present if keep_former else "")
    if text == present:
        return False
    write_file(file, text, mode=0o640, group="redis")
    return True


def replaced() -> list[str]:
    """Return the users whose former passwords are still valid."""
    found = set()
    for file in FILES:
        if file.exists() and file.with_suffix(".wanted").exists():
            wanted = by_user(file.with_suffix(".wanted").read_text())
            found |= {
                name
                for name, line in by_user(file.read_text()).items()
                if set(HASH.findall(line)) - set(HASH.findall(wanted.get(name, "")))
            }
    return sorted(found)
