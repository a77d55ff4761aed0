"""The dashboards are what their sources make, and ask only for figures of the one data source."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "dashboards"


@pytest.fixture(scope="module")
def build():
    """Return the module that makes them."""
    sys.path.insert(0, str(PLACE))
    try:
        spec = importlib.util.spec_from_file_location("build", PLACE / "build.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(PLACE))


def test_making_them_again_gives_the_same(build):
    made = {f"{board['name']}.json": build.page(board) for board in build.BOARDS}
    assert made == {file.name: file.read_text() for file in PLACE.glob("*.json")}


@pytest.mark.parametrize("file", sorted(PLACE.glob("*.json")), ids=lambda file: file.stem)
def test_a_dashboard_is_one_that_grafana_takes(file):
    told = json.loads(file.read_text())
    assert told["uid"] == f"luckygas-{file.stem}"
    assert len(told["uid"]) <= 40
    panels = told["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert {panel["type"] for panel in panels} <= {"stat", "timeseries"}
    taken = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    for panel in panels:
        names = [target["refId"] for target in panel["targets"]]
        assert names
        assert len(names) == len(set(names))
        assert all(target["datasource"]["uid"] == "luckygas" and target["expr"] for target in panel["targets"])
        assert panel["description"].endswith(".")
