"""What a page links to is there, in the checkout and on the machine, where the pages lie beside each other, too."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SHARE = Path("/usr/local/share/luckygas")
INSTALL = ROOT / "roles/appliance/tasks/install.yml"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def links(page: Path) -> list[Path]:
    """Return the files that a page links to."""
    found = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    return [(page.parent / link).resolve() for link in found]


def shared() -> dict[Path, Path]:
    """Return what the role brings to the machine for people to read: where from, and where to."""
    (task,) = yaml.safe_load(INSTALL.read_text())
    sources = {
        Path(entry["path"]): entry.get("copy", entry.get("tree"))
        for entry in task["appliance_files"]["files"]
        if Path(entry["path"]).is_relative_to(SHARE)
    }
    return {
        Path(source.replace("{{ role_path }}", str(INSTALL.parents[1]))).resolve(): path
        for path, source in sources.items()
        if source
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_is_in_the_checkout(page: Path) -> None:
    assert [link for link in links(page) if not link.exists()] == []


def test_it_is_on_the_machine_at_the_same_place() -> None:
    there = shared()
    assert {path.relative_to(SHARE) for path in there.values()} == {source.relative_to(ROOT) for source in there}
    linked = {link for page in PAGES for link in links(page)}
    lost = [link for link in linked if not any(link.is_relative_to(source) for source in there)]
    assert lost == []


def test_the_page_that_the_playbook_names_at_its_end_is_on_the_machine() -> None:
    (named,) = re.findall(r"(/\S+\.md)", (ROOT / "roles/appliance/templates/summary.j2").read_text())
    assert Path(named) in shared().values()
