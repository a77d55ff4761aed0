"""Reports: what is news, who is told, and what is kept when nobody could be."""

import json
import os
import socketserver
import ssl
import subprocess
import threading
import time
from datetime import datetime
from subprocess import CompletedProcess
from types import SimpleNamespace

import pytest

from appliance.backup.record import Record
from appliance.cli import main
from appliance.output import OK, WARNING, RefusedError
from appliance.reports import calendar, figures, mail, prometheus, report
from appliance.reports.report import Line, Report, Section
from appliance.rotate import secrets
from appliance.system import write_file

MAIL = {"server": "localhost", "port": "587", "user": "", "from": "luckygas@x.tw", "to": "who@x.tw"}


@pytest.fixture
def world(monkeypatch, tmp_path) -> SimpleNamespace:
    """Make reports of two lines, with a postman who notes what he gets."""
    world = SimpleNamespace(lines=[Line("disk 80 %", "disk"), Line("just so")], sent=[], logs=tmp_path / "logs")
    monkeypatch.setattr(calendar, "PERIODS", {"daily": {"Disks": lambda: world.lines}})
    monkeypatch.setattr(report, "LOGS", world.logs)
    monkeypatch.setattr(report, "STATE", tmp_path / "state")
    monkeypatch.setattr(report, "write_file", lambda file, text, *, mode, **_: write_file(file, text, mode=mode))
    monkeypatch.setattr(mail, "receiver", lambda: MAIL)
    monkeypatch.setattr(mail, "send", lambda *words: world.sent.append(words))
    return world


def test_a_report_is_kept_and_mailed_once_until_something_changes(world, capsys):
    assert main(["report", "daily"]) == OK
    ((_to, subject, text),) = world.sent
    assert subject.endswith("what is new in the daily report")
    first, *rest = text.splitlines()
    assert first == "What is new since the last one (+), and what is over (-):"
    assert rest == ["  + disk", "", "Disks", "  disk 80 %", "  just so"]
    (kept,) = world.logs.iterdir()
    assert kept.read_text() == text
    assert kept.stat().st_mode & 0o777 == 0o640
    world.lines[0] = Line("disk 85 %", "disk")
    world.lines[1] = Line("just as well")
    assert main(["report", "daily"]) == OK
    assert len(world.sent) == 1
    assert "disk 85 %" in kept.read_text()
    world.lines[:] = [Line("x", "memory")]
    assert main(["report", "daily"]) == OK
    assert "  + memory\n  - disk\n" in world.sent[1][2]
    assert capsys.readouterr().out.splitlines()[-1].endswith(": mailed")


def test_what_could_not_be_mailed_stays_new(world, monkeypatch):
    def refused(*_):
        raise RefusedError("no server")

    with monkeypatch.context() as there:
        there.setattr(mail, "send", refused)
        assert main(["report", "daily"]) == WARNING
        assert main(["report", "daily"]) == WARNING
    assert main(["report", "daily"]) == OK
    assert len(world.sent) == 1


def test_where_nobody_is_told_by_mail_it_is_kept_alone(world, monkeypatch, capsys):
    monkeypatch.setattr(mail, "receiver", dict)
    assert main(["report", "daily", "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert (told["news"], told["mailed"]) == (["+ disk"], False)
    assert len(list(world.logs.iterdir())) == 1


def test_to_show_one_keeps_and_mails_nothing(world, capsys):
    assert main(["report", "daily", "--show"]) == OK
    assert "disk 80 %" in capsys.readouterr().out
    assert (world.sent, world.logs.exists()) == ([], False)


def test_a_section_that_fails_is_news_and_hides_no_other():
    def fails():
        yield Line("first")
        raise OSError("gone")

    made = [Section.made("A", fails), Section.made("B", lambda: [Line("fine")])]
    page = Report("daily", made)
    assert page.news == ["+ A could not be made"]
    assert "could not be made: gone" in page.text
    assert "fine" in page.text


def test_only_the_last_pages_are_kept(world):
    for number in range(report.KEPT + 3):
        report.keep(Report("daily", []), f"2026-01-{number:03}")
    assert len(list(world.logs.glob("daily-*"))) == report.KEPT
    assert not (world.logs / "daily-2026-01-000.txt").exists()


def test_the_receiver_is_whom_alertmanager_tells(tmp_path):
    file = tmp_path / "alerts.json"
    assert mail.receiver(file) == {}
    file.write_text(json.dumps({"mail": {}}))
    assert mail.receiver(file) == {}
    file.write_text(json.dumps({"mail": MAIL}))
    assert mail.receiver(file) == MAIL


class Postman(socketserver.StreamRequestHandler):
    """As much of SMTP as a mail takes; encrypted once that was asked for, where there is a certificate."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            self.server.heard.append(line)
            if verb == "STARTTLS":
                self.say("220 go on")
                self.request = self.server.context.wrap_socket(self.request, server_side=True)
                self.setup()
            elif verb == "EHLO":
                self.say("250-here\r\n250 STARTTLS" if self.server.context else "250 here")
            elif verb == "DATA":
                self.say("354 go on")
                while (line := self.rfile.readline().decode()) != ".\r\n":
                    self.server.heard.append(line.strip())
                self.say("250 yes")
            else:
                self.say("221 bye" if verb == "QUIT" else "250 yes")

    def finish(self):
        super().finish()
        self.request.close()  # the encrypted one, which its server does not know

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def postman(monkeypatch, tmp_path):
    """Return a server for mail, with a certificate that this machine trusts."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key", "-out", "cert"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *names], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603, S607
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Postman) as server:
        server.heard, server.context = [], ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_mail_arrives_encrypted(postman):
    mail.send(MAIL | {"port": str(postman.server_address[1])}, "It is 今天", "two\nlines")
    assert postman.heard.index("STARTTLS") < postman.heard.index("mail FROM:<luckygas@x.tw>")
    assert "rcpt TO:<who@x.tw>" in postman.heard
    assert {"two", "lines"} <= set(postman.heard)


def test_a_server_that_would_read_mail_in_the_clear_gets_none(postman):
    postman.context = None
    with pytest.raises(RefusedError, match="did not take the mail"):
        mail.send(MAIL | {"port": str(postman.server_address[1])}, "subject", "text")
    assert not any(line.lower().startswith(("mail", "data", "auth")) for line in postman.heard)


def test_a_server_whose_certificate_is_of_nobody_gets_no_mail(postman, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    with pytest.raises(RefusedError, match="certificate"):
        mail.send(MAIL | {"port": str(postman.server_address[1])}, "subject", "text")


def test_who_complained_is_counted_and_named(monkeypatch):
    told = [
        {"_SYSTEMD_UNIT": "nginx.service", "MESSAGE": "one"},
        {"_SYSTEMD_UNIT": "nginx.service", "MESSAGE": "two"},
        {"SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "three"},
    ]
    lines = "\n".join(map(json.dumps, told))
    monkeypatch.setattr(calendar, "run", lambda *_, **__: CompletedProcess([], 0, lines, ""))
    assert [(line.text, line.mark) for line in calendar.errors()] == [
        ("     2 by nginx.service, the last: two", "errors of nginx.service"),
        ("     1 by kernel, the last: three", "errors of kernel"),
    ]


def test_updates_are_read_from_what_apt_would_do():
    lines = [
        "Reading package lists...",
        "Inst libssl3 [3.5.1-1] (3.5.1-2 Debian-Security:13/stable-security [amd64])",
        "Inst tzdata [2025b-1] (2025b-4 Debian:13.2/stable [all])",
        "Conf tzdata (2025b-4 Debian:13.2/stable [all])",
    ]
    assert [line.mark for line in calendar.upgrades(lines, security=False)] == ["libssl3 3.5.1-2", "tzdata 2025b-4"]
    assert [line.mark for line in calendar.upgrades(lines, security=True)] == ["libssl3 3.5.1-2"]


def test_the_drill_is_news_each_quarter_and_old_secrets_once(monkeypatch, tmp_path):
    monkeypatch.setattr(calendar.Record, "load", Record)
    marks = [line.mark for line in calendar.disaster() if line.mark]
    assert len(marks) == 1
    assert marks[0].startswith("the drill of 20")
    monkeypatch.setattr(secrets, "PLACE", tmp_path)
    for name, days in (("vpn_key", 3), ("smtp_password", 400)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, times=(time.time() - days * 86400,) * 2)
    assert [(line.text, line.mark) for line in calendar.secrets()] == [
        ("vpn_key is 3 days old", ""),
        ("smtp_password is 400 days old", "smtp_password is old"),
    ]


@pytest.fixture
def in_taipei(monkeypatch):
    """Let the machine's clock be in Taipei."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Taipei")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_taipei")
def test_a_quarter_begins_when_it_does_where_the_machine_is(monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 12, 31, 23, 30, tzinfo=tz)  # as its timer has it, on the first of January at 07:30

    monkeypatch.setattr(calendar, "datetime", Clock)
    monkeypatch.setattr(calendar.Record, "load", Record)
    assert [line.mark for line in calendar.disaster() if line.mark] == ["the drill of 2027, quarter 1"]


@pytest.mark.parametrize(
    ("pace", "said", "mark"), [(-1e6, "not filling", ""), (1e15, "full in 0 days", "/ is full within 90 days")]
)
def test_a_disk_that_fills_is_news(monkeypatch, pace, said, mark):
    monkeypatch.setattr(figures, "DATA", ("/",))
    monkeypatch.setattr(figures, "ask", lambda _: [({}, -pace)])
    monkeypatch.setattr(figures, "primary", lambda: None)
    monkeypatch.setattr(figures.postgres, "query", lambda *_: [["luckygas", "12 MB"]])
    disk, database = figures.room()
    assert said in disk.text
    assert disk.mark == mark
    assert database == Line("database luckygas: 12 MB")


def test_a_prometheus_that_does_not_answer_is_a_reason():
    with pytest.raises(RefusedError, match="Prometheus does not answer"):
        prometheus.ask(1, "up")
