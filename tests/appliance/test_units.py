"""What systemd is asked about units, and a systemd that does not answer."""

from subprocess import CompletedProcess

import pytest

from appliance import units
from appliance.database import restarts, supervisor
from appliance.output import RefusedError
from appliance.status import machine
from appliance.system import TIMED_OUT


def answers(monkeypatch, stdout: str) -> None:
    """Have systemctl print this; nothing is what a time-out leaves."""
    code, stderr = (0, "") if stdout else (TIMED_OUT, "no answer within 10 s")
    monkeypatch.setattr(units, "run", lambda command, **_: CompletedProcess(command, code, stdout, stderr))


def test_units_are_told_apart(monkeypatch) -> None:
    answers(monkeypatch, "Id=a.service\nActiveState=active\n\nId=b.service\nActiveState=failed\n")
    assert units.shown(["a.service", "b.service"], "Id", "ActiveState") == [
        {"Id": "a.service", "ActiveState": "active"},
        {"Id": "b.service", "ActiveState": "failed"},
    ]


def test_what_no_unit_was_named_for_is_not_asked(monkeypatch) -> None:
    answers(monkeypatch, "")
    assert units.shown([], "Id") == []


@pytest.mark.parametrize(
    ("ask", "unit"),
    [
        (lambda: restarts.has_another_unit("postgresql@17-pg1.service"), "postgresql@17-pg1.service"),
        (lambda: list(machine.units()), machine.TARGET),
    ],
)
def test_a_silent_systemd_is_an_error_that_the_supervisor_bears(monkeypatch, ask, unit) -> None:
    answers(monkeypatch, "")
    with pytest.raises(RefusedError, match=f"systemd says nothing of {unit} [(]no answer within 10 s[)]") as raised:
        ask()
    assert isinstance(raised.value, supervisor.EXPECTED)
