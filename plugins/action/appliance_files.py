"""The half of appliance_files that runs beside the playbook: templates are rendered and files are read here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader


class ActionModule(ActionBase):
    """Turns `each`, `template`, `copy` and `tree` into content, and hands all of it to the module at once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the content of every file."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if not isinstance(arguments.get("files"), list):
            raise AnsibleActionFail(f"appliance_files: `files` is to be a list, not {arguments.get('files')!r}")
        arguments["files"] = [
            self.resolve(one, variables)
            for entry in arguments["files"]
            for one, variables in self.repeat(dict(entry), task_vars or {})
        ]
        return result | self._execute_module("appliance_files", module_args=arguments, task_vars=task_vars)

    def repeat(self, entry: dict[str, Any], task_vars: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return an entry and what its template may use; or one for each of `each`, which the template calls `item`."""
        if "each" not in entry:
            return [(entry, task_vars)]
        each = entry.pop("each")
        return [(entry | {"path": entry["path"].replace("{}", one["name"])}, task_vars | {"item": one}) for one in each]

    def resolve(self, entry: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return an entry with its content in the place of where that comes from."""
        if "template" in entry:
            entry["content"] = self.look_up("template", entry.pop("template"), task_vars)
        elif "copy" in entry:
            entry["content"] = self.look_up("file", entry.pop("copy"), task_vars, rstrip=False)
        elif isinstance(entry.get("tree"), str):
            root = Path(entry["tree"])
            files = [one for one in sorted(root.rglob("*")) if one.is_file() and "__pycache__" not in one.parts]
            entry["tree"] = {str(one.relative_to(root)): one.read_text() for one in files}
        return entry

    def look_up(self, plugin: str, name: str, task_vars: dict[str, Any], **options: Any) -> str:
        """Return what one of Ansible's own lookups makes of a file of the role."""
        lookup = lookup_loader.get(f"ansible.builtin.{plugin}", loader=self._loader, templar=self._templar)
        return lookup.run([name], variables=task_vars, **options)[0]
