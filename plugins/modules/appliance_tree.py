"""Ansible module: a directory of small text files, as a whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: appliance_tree
short_description: Make a directory hold exactly these text files
description:
  - One connection instead of one for each file, and what is no longer part of the tree goes.
  - Files and directories belong to root. Python's caches are left alone.
options:
  path: {type: path, required: true, description: The directory.}
  files: {type: dict, required: true, description: Content by path below the directory.}
"""

RETURN = """
paths: {type: list, returned: always, description: "What was written or removed."}
"""


def present(root: Path) -> set[str]:
    """Return the files below the directory, but for Python's caches."""
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def is_right(path: Path, content: str) -> bool:
    """Tell whether a file has its content, mode and owner."""
    if not path.is_file() or path.is_symlink():
        return False
    status = path.stat()
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o644, 0, 0) and path.read_text() == content


def write(path: Path, content: str) -> None:
    """Replace a file as a whole."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    os.chmod(temporary, 0o644)  # noqa: PTH101
    os.chown(temporary, 0, 0)
    Path(temporary).replace(path)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "files": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    root, files = Path(module.params["path"]), module.params["files"]
    strays = sorted(present(root) - set(files))
    wrong = sorted(path for path, content in files.items() if not is_right(root / path, content))
    if not module.check_mode:
        for path in wrong:
            write(root / path, files[path])
        for path in strays:
            (root / path).unlink()
        if strays:
            for cache in root.rglob("__pycache__"):
                shutil.rmtree(cache)
    module.exit_json(changed=bool(wrong or strays), paths=[*wrong, *strays])


if __name__ == "__main__":
    main()
