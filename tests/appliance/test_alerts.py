"""Alerts as an operator sees them, against an Alertmanager that answers over HTTP as the real one does."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from appliance.alerts import commands, manager, record
from appliance.alerts.manager import Settings
from appliance.cli import main


class Fake:
    """What it was sent, and what it says fires."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.alerts: list[dict] = []

    def fire(self, name: str, severity: str, state: str = "active") -> None:
        self.alerts.append(
            {
                "labels": {"alertname": name, "severity": severity},
                "annotations": {"summary": f"{name} it is."},
                "startsAt": "2026-11-28T10:00:00.000Z",
                "status": {"state": state},
            }
        )


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Iterator[Fake]:
    found = Fake()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(found.alerts)

        def do_POST(self) -> None:
            found.sent += json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(None)

        def answer(self, data: object) -> None:
            body = json.dumps(data).encode() if data is not None else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found.file = tmp_path / "alerts.json"
    found.port = server.server_address[1]
    monkeypatch.setattr(manager.Settings.load.__func__, "__defaults__", (found.file,))
    for function in (record.Record.load.__func__, record.Record.save):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "state.json",))
    tell(found)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def tell(fake: Fake, *receivers: str, digest: str = "one") -> None:
    told = {"port": fake.port, "receivers": receivers, "heartbeat": True, "digest": digest}
    fake.file.write_text(json.dumps(told))


def code_of(fake: Fake) -> str:
    return fake.sent[-1]["annotations"]["summary"].rsplit(" ", 1)[1]


def test_without_a_receiver_it_warns_that_nobody_is_told(fake, capsys):
    assert main(["alerts"]) == 1
    assert "nobody is told" in capsys.readouterr().out
    assert main(["alerts", "test"]) == 1
    assert main(["alerts", "test", "--if-changed"]) == 0
    assert fake.sent == []


def test_a_test_that_was_confirmed_ends_the_warning(fake, capsys):
    tell(fake, "mail")
    assert main(["alerts", "test", "--if-changed"]) == 0
    assert main(["alerts"]) == 1
    assert "nobody has confirmed" in capsys.readouterr().out
    assert main(["alerts", "confirm", code_of(fake)]) == 0
    assert main(["alerts"]) == 0
    assert "nothing fires" in capsys.readouterr().out


def test_only_what_the_alert_said_confirms_it(fake, capsys):
    tell(fake, "mail")
    assert main(["alerts", "confirm", "000000"]) == 1
    main(["alerts", "test"])
    wrong = f"{(int(code_of(fake)) + 1) % 10**6:06}"
    assert main(["alerts", "confirm", wrong]) == 1
    assert main(["alerts", "confirm"]) == 1
    assert main(["alerts", "confirm", "密碼"]) == 1
    assert not record.Record.load().is_confirmed("one")


def test_receivers_are_tested_once_until_they_change(fake, capsys):
    tell(fake, "mail")
    main(["alerts", "test", "--if-changed"])
    main(["alerts", "confirm", code_of(fake)])
    main(["alerts", "test", "--if-changed"])
    assert len(fake.sent) == 1
    tell(fake, "mail", "slack", digest="two")
    assert main(["alerts"]) == 1
    assert main(["alerts", "confirm", code_of(fake)]) == 1
    main(["alerts", "test", "--if-changed"])
    assert len(fake.sent) == 2


@pytest.mark.parametrize(
    ("severity", "state", "code"), [("critical", "active", 2), ("warning", "active", 1), ("critical", "suppressed", 0)]
)
def test_what_fires_decides_the_exit_code(fake, capsys, severity, state, code):
    tell(fake, "mail")
    main(["alerts", "test"])
    main(["alerts", "confirm", code_of(fake)])
    fake.fire("Watchdog", "none")
    fake.fire("DatabaseDown", severity, state)
    capsys.readouterr()
    assert main(["alerts", "--json"]) == code
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["alerts"]] == ["DatabaseDown"]


def test_an_alertmanager_that_is_away_is_critical(fake, capsys, monkeypatch):
    fake.port = 1
    tell(fake, "mail")
    assert main(["alerts"]) == 2
    assert "journalctl -u prometheus-alertmanager" in capsys.readouterr().out


def test_a_machine_without_the_role_is_told_what_to_do(fake, capsys):
    fake.file.unlink()
    assert main(["alerts"]) == 1
    assert "run the playbook" in capsys.readouterr().out


def test_the_watchdog_tells_whether_prometheus_judges(fake):
    tell(fake, "mail")
    assert not manager.is_watched(Settings.load())
    fake.fire("Watchdog", "none")
    assert manager.is_watched(Settings.load())
    assert commands.doubt(Settings.load(), record.Record("one", "1", 1.0, 2.0)) is None
