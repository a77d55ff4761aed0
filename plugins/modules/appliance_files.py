"""Ansible module: all files that a role owns, in one round trip."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: appliance_files
short_description: Make files, directories and links what they should be, all of them in one round trip
description:
  - A round trip costs a fifth of a second, and the modules of Ansible take two for each file. See docs/adr/0004.
  - Every file is checked by its `validate` before the first one is written, so a bad one leaves all as they were.
  - A file is replaced as a whole and only when it differs. Directories on the way are made, for root, mode 0755.
  - What was written is remembered by its digest, so that `luckygas doctor` finds what was changed by hand since.
options:
  files:
    type: list
    elements: dict
    required: true
    description: What there should be, in the order in which it is made. One of the keys template to link, or none.
    suboptions:
      path: {type: str, required: true, description: "Where. One that ends with a slash is a directory."}
      template: {type: str, description: "A file of templates/, rendered where the playbook runs."}
      copy: {type: str, description: "A file of files/, as it is."}
      content: {type: str, description: The text itself.}
      tree: {type: raw, description: "A directory there, or texts by name; path holds these files and no others."}
      link: {type: str, description: "Where a symbolic link points to; need not exist."}
      each:
        type: list
        elements: dict
        description: One such file for each of these. {} in the path is its C(name), C(item) in the template it itself.
      owner: {type: str, description: Instead of the one of all.}
      group: {type: str, description: Instead of the one of all.}
      mode: {type: str, description: "Octal, instead of the one of all; 0755 for a directory."}
      seed: {type: bool, default: false, description: Written only where nothing is yet; left alone from then on.}
      validate: {type: str, description: "A command that must succeed; %s is the file before it is put in place."}
  owner: {type: str, default: root, description: Whose all of them are.}
  group: {type: str, default: root, description: The group of all.}
  mode: {type: str, default: "0644", description: "The mode of all files, in octal."}
  record: {type: str, default: /var/lib/luckygas/files.json, description: Where the digests are kept.}
"""

RETURN = """
paths: {type: list, returned: always, description: What was made or changed or removed.}
"""

ENTRY = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str"},
    "link": {"type": "str"},
    "tree": {"type": "dict"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "seed": {"type": "bool", "default": False},
    "validate": {"type": "str"},
}


class Files:
    """One call of the module: what differs is found first, then made."""

    def __init__(self, module: AnsibleModule) -> None:
        """Begin with nothing changed."""
        self.module = module
        self.paths: list[str] = []
        self.diff: list[dict[str, str]] = []

    def has(self, entry: dict) -> bool:
        """Tell whether a path is what its entry says, but for its owner and mode."""
        path = Path(entry["path"])
        if entry["link"] is not None:
            return path.is_symlink() and os.readlink(path) == entry["link"]  # noqa: PTH115
        if entry["path"].endswith("/"):
            return path.is_dir()
        if path.is_symlink() or not path.is_file():
            return False
        return entry["seed"] or path.read_text(errors="replace") == entry["content"]

    def validate(self, entry: dict) -> None:
        """Ask a file's own checker whether it likes the file; nothing was written yet."""
        if not entry["validate"] or self.has(entry):
            return
        with tempfile.NamedTemporaryFile("w", dir=self.module.tmpdir) as file:
            file.write(entry["content"])
            file.flush()
            code, out, err = self.module.run_command(entry["validate"].replace("%s", file.name))
        if code != 0:
            self.module.fail_json(
                msg=f"{entry['path']} would not be valid, nothing was changed: {(err or out).strip()}"
            )

    def make(self, entry: dict) -> None:
        """Bring one path to what its entry says."""
        path = Path(entry["path"])
        if not self.has(entry):
            self.paths.append(entry["path"])
            self.show(path, entry)
            if self.module.check_mode:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry["path"].endswith("/"):
                path.mkdir()
            else:
                self.replace(path, entry)
        if entry["link"] is None:
            self.own(path, entry)

    def replace(self, path: Path, entry: dict) -> None:
        """Put a file or a link in place in one step, with its owner and mode from the first moment."""
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".")) / path.name
        try:
            if entry["link"] is not None:
                temporary.symlink_to(entry["link"])
            else:
                temporary.touch(mode=0o600)
                temporary.write_text(entry["content"])
                self.own(temporary, entry)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary.parent)

    def own(self, path: Path, entry: dict) -> None:
        """Give a path its owner, group and mode."""
        wanted = pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid, int(entry["mode"], 8)
        status = path.stat()
        if (status.st_uid, status.st_gid, status.st_mode & 0o7777) == wanted:
            return
        if entry["path"] not in self.paths:
            self.paths.append(entry["path"])
        if not self.module.check_mode:
            os.chown(path, *wanted[:2])
            path.chmod(wanted[2])

    def show(self, path: Path, entry: dict) -> None:
        """Keep what --diff prints; of a tree, which may be a whole program, only which of its files differ."""
        before = path.read_text(errors="replace") if path.is_file() and entry["link"] is None else ""
        after = entry["content"] if entry["content"] is not None else f"{entry['link'] or 'a directory'}\n"
        if entry.get("in_tree"):
            before, after = (text and f"{len(text.splitlines())} lines, {digest(text)}\n" for text in (before, after))
        self.diff.append({"before_header": str(path), "after_header": str(path), "before": before, "after": after})

    def prune(self, root: Path, keep: set[Path]) -> None:
        """Remove the files of a tree that are no longer part of it."""
        strays = [
            one for one in root.rglob("*") if one.is_file() and "__pycache__" not in one.parts and one not in keep
        ]
        self.paths.extend(sorted(map(str, strays)))
        if strays and not self.module.check_mode:
            for one in strays:
                one.unlink()
            for cache in list(root.rglob("__pycache__")):
                shutil.rmtree(cache)

    def remember(self, entries: list[dict], record: Path) -> None:
        """Keep the digest of every file that was written here, and may not change but by this module."""
        before = json.loads(record.read_text()) if record.exists() else {}
        digests = {
            entry["path"]: digest(entry["content"])
            for entry in entries
            if entry["content"] is not None and not entry["seed"]
        }
        known = {path: digest for path, digest in before.items() if Path(path).exists()} | digests
        if known != before:
            content = json.dumps(known, indent=2, sort_keys=True) + "\n"
            owner = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
            record.parent.mkdir(parents=True, exist_ok=True)
            self.replace(record, {"path": str(record), "content": content, "link": None, "mode": "0600"} | owner)


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def expand(entry: dict, mode: str) -> list[dict]:
    """Turn a tree into the directory and the files that it holds; anything else is itself."""
    root, files = entry["path"], entry["tree"] or {}
    own_mode = entry["mode"] or ("0755" if root.endswith("/") else mode)
    inside = [
        entry | {"path": root + name, "content": text, "tree": None, "in_tree": True, "mode": mode}
        for name, text in files.items()
    ]
    return [entry | {"tree": None, "mode": own_mode}, *inside]


def problems(entries: list[dict]) -> list[str]:
    """Return what is wrong with the entries themselves."""
    found = []
    for entry in entries:
        is_directory = entry["path"].endswith("/")
        what = [key for key in ("content", "link", "tree") if entry[key] is not None]
        if len(what) != (1 if not is_directory or entry["tree"] is not None else 0):
            found.append(f"{entry['path']}: has {' and '.join(what) or 'no content'}")
        for database, name in ((pwd.getpwnam, entry["owner"]), (grp.getgrnam, entry["group"])):
            try:
                database(name)
            except KeyError:
                found.append(f"{entry['path']}: there is no {name} to own it")
    return found


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "options": ENTRY, "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0644"},
            "record": {"type": "str", "default": "/var/lib/luckygas/files.json"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)  # whatever root's own is here: others go through the directories above a file
    common = {key: module.params[key] for key in ("owner", "group")}
    wanted = [entry | {key: entry[key] or common[key] for key in common} for entry in module.params["files"]]
    if found := problems(wanted):
        module.fail_json(msg="\n".join(found))
    files = Files(module)
    entries = [one for entry in wanted for one in expand(entry, module.params["mode"])]
    for entry in entries if not module.check_mode else ():
        files.validate(entry)
    for entry in entries:
        files.make(entry)
    for entry in wanted:
        if entry["tree"] is not None:
            files.prune(Path(entry["path"]), {Path(entry["path"]) / name for name in entry["tree"]})
    if not module.check_mode:
        files.remember(entries, Path(module.params["record"]))
    module.exit_json(changed=bool(files.paths), paths=files.paths, diff=files.diff)


if __name__ == "__main__":
    main()
