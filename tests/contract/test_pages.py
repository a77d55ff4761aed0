"""The page of an absent service may do no more than it needs."""

import base64
import hashlib
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
NGINX = yaml.safe_load((ROOT / "roles/nginx/vars/main.yml").read_text())


def test_the_page_of_an_absent_service_may_have_its_one_style_and_loads_nothing():
    page = (ROOT / "roles/nginx/files/away.html").read_text(encoding="utf-8")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert NGINX["__nginx_page_style"] == digest
    assert not re.search(r"https?:|src=|href=|url\(|<script| style=", page)
