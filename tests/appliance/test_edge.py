"""What the operator types for the edge."""

import json

import pytest

from appliance.cli import main
from appliance.edge import maintenance
from appliance.output import OK, WARNING


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(maintenance, "FILE", tmp_path / "maintenance")
    return maintenance.FILE


def test_maintenance_is_a_file_that_comes_and_goes(file, capsys):
    assert main(["maintenance", "on"]) == OK
    assert file.exists()
    began = file.stat().st_mtime_ns
    assert main(["maintenance", "on"]) == OK
    assert file.stat().st_mtime_ns == began, "it is on since it was turned on first"
    assert main(["maintenance", "--json"]) == WARNING
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"on": True, "since": file.stat().st_mtime}
    for _ in range(2):
        assert main(["maintenance", "off"]) == OK
        assert not file.exists()
    assert main(["maintenance"]) == OK
    assert capsys.readouterr().out.splitlines()[-1] == "Maintenance is off."
