"""nginx says of its own answers what the service says of its."""

import ast
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_both_send_the_same_headers():
    constants = {}
    for node in ast.parse((ROOT / "app/luckygas/web/headers.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign):
            try:
                constants[node.target.id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    service = constants["COMMON"] | {"Content-Security-Policy": constants["DATA_POLICY"]}
    assert yaml.safe_load((ROOT / "roles/nginx/vars/main.yml").read_text())["__nginx_headers"] == service
