"""The files that hold secrets: the new value in the old one's place, and nothing else of the file changed.

They are as the playbook will write them with the new value, so that it finds nothing to do.
"""

import glob
import grp
import json
import pwd
from collections.abc import Iterable
from pathlib import Path

from appliance.doctor.files import WRITTEN
from appliance.rotate.state import Change, digest
from appliance.system import write_file


def replace(patterns: Iterable[str], changes: Iterable[Change]) -> list[str]:
    """Put new values, and digests of them, in the place of old ones; returns the files in which there was one."""
    pairs = [pair for one in changes for pair in ((one.old, one.new), (digest(one.old), digest(one.new)))]
    found = sorted(path for pattern in patterns for path in glob.glob(pattern))  # noqa: PTH207 - whole paths
    return [path for path in found if replace_in(Path(path), pairs)]


def replace_in(file: Path, pairs: Iterable[tuple[str, str]]) -> bool:
    """Replace texts in one file; True when it had any of them."""
    after = file.read_text()
    for old, new in pairs:
        after = after.replace(old, new)
    return write(file, after)


def write(file: Path, text: str) -> bool:
    """Give a file another content, with its owner and mode, and tell the doctor that this was no stranger."""
    if file.read_text() == text:
        return False
    status = file.stat()
    owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    write_file(file, text, mode=status.st_mode & 0o7777, owner=owner, group=group)
    if WRITTEN.exists() and str(file) in (record := json.loads(WRITTEN.read_text())):
        record[str(file)] = digest(text)
        write_file(WRITTEN, json.dumps(record, indent=2, sort_keys=True) + "\n", mode=0o600)
    return True
