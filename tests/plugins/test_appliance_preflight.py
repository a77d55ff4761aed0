"""The look at the machine: every problem is found, named, and comes with a way out."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "plugins/modules/appliance_preflight.py"
spec = importlib.util.spec_from_file_location("appliance_preflight", PATH)
preflight = importlib.util.module_from_spec(spec)
sys.modules["appliance_preflight"] = preflight
spec.loader.exec_module(preflight)

GOOD = {
    "site_domain": "luckygas.tw",
    "site_admin_email": "admin@luckygas.tw",
    "site_timezone": "Asia/Taipei",
    "site_profile": "production",
    "site_cors_origins": ["https://shop.example.tw"],
    "site_proxies": ["203.0.113.0/24", "2001:db8::/32", "127.0.0.1"],
    "site_ssh": "admin-nets",
    "site_admin_networks": ["203.0.113.0/24", "2001:db8::/48", "198.51.100.7"],
}
GOOD |= {
    "site_alert_mail": "smtp://alerts@example.tw@smtp.example.tw:587/me@example.tw",
    "site_alert_webhook": "",
    "site_alert_slack": "#lucky-gas",
    "site_alert_heartbeat": "https://example.tw/ping/1234",
    "site_traces": "http://192.0.2.8:4318/v1/traces",
}
QUESTIONS = list(GOOD)
MINIMUM = {"cpus": 4, "memory_gb": 8, "disk_gb": 100, "free_gb": 10}


def test_a_good_machine_and_good_answers_pass():
    assert preflight.operating_system({"ID": "debian", "VERSION_ID": "13"}) == []
    assert preflight.size({"cpus": 4, "memory_gb": 7.7, "disk_gb": 98.2, "free_gb": 90}, MINIMUM) == []
    assert preflight.answers(GOOD, QUESTIONS) == []
    assert preflight.taken_ports({22: "sshd", 80: "nginx"}, {"80": "nginx", "443": "nginx"}) == []


@pytest.mark.parametrize(
    "release",
    [{"ID": "debian", "VERSION_ID": "12"}, {"ID": "ubuntu", "VERSION_ID": "13"}, {"ID": "debian"}, {}],
)
def test_another_system_is_refused_by_name(release):
    release = release | {"PRETTY_NAME": "Some System 1.0"}
    (problem,) = preflight.operating_system(release)
    assert "Some System 1.0" in problem
    assert "Debian 13" in problem


def test_every_lack_of_size_is_reported_with_what_was_found():
    problems = preflight.size({"cpus": 2, "memory_gb": 3.8, "disk_gb": 40, "free_gb": 2.5}, MINIMUM)
    assert len(problems) == 4
    assert [value in problem for value, problem in zip(("2", "3.8", "40", "2.5"), problems, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("site_domain", "https://luckygas.tw"),
        ("site_domain", "luckygas"),
        ("site_domain", "Luckygas.TW"),
        ("site_domain", "lucky_gas.tw"),
        ("site_domain", "-luckygas.tw"),
        ("site_domain", "luckygas.tw."),
        ("site_domain", "localhost"),
        ("site_domain", "a." * 130 + "tw"),
        ("site_domain", None),
        ("site_admin_email", "luckygas.tw"),
        ("site_admin_email", "a@b"),
        ("site_admin_email", "a b@luckygas.tw"),
        ("site_timezone", "Asia/Taipeh"),
        ("site_timezone", "../../etc/passwd"),
        ("site_timezone", "Asia"),
        ("site_profile", "prod"),
        ("site_ssh", "private"),
        ("site_ssh", ["public"]),
        ("site_admin_networks", "203.0.113.0/24"),
        ("site_admin_networks", ["203.0.113.7/24"]),
        ("site_admin_networks", ["0.0.0.0/0"]),
        ("site_admin_networks", ["office"]),
        ("site_admin_networks", [10]),
        ("site_alert_mail", "me@example.tw"),
        ("site_alert_mail", "smtp://smtp.example.tw:587"),
        ("site_alert_webhook", "example.tw/alerts"),
        ("site_alert_slack", "lucky gas"),
        ("site_alert_heartbeat", "ftp://example.tw"),
        ("site_traces", "https://example.tw:4318"),
        ("site_traces", "https://me:secret@example.tw:4318/v1/traces"),
        ("site_traces", "example.tw:4318/v1/traces"),
        ("site_cors_origins", "https://shop.example.tw"),
        ("site_cors_origins", ["https://shop.example.tw/"]),
        ("site_cors_origins", ["*"]),
        ("site_proxies", "203.0.113.0/24"),
        ("site_proxies", ["203.0.113.7/24"]),
        ("site_proxies", ["0.0.0.0/0"]),
        ("site_proxies", ["::/0"]),
        ("site_proxies", ["203.0.113.0/24; return 200"]),
    ],
)
def test_a_bad_answer_is_named_with_its_value(answer, value):
    (problem,) = preflight.answers(GOOD | {answer: value}, QUESTIONS)
    assert problem.startswith(answer)
    assert repr(value) in problem
    assert "expected" in problem


def test_ssh_for_no_network_at_all_is_refused():
    (problem,) = preflight.answers(GOOD | {"site_admin_networks": []}, QUESTIONS)
    assert problem.startswith("site_admin_networks")
    assert "Name yours" in problem


def test_a_secret_that_an_answer_calls_for_has_to_be_there():
    missing = {"s3_secret_key": "site_s3_endpoint", "slack_url": "site_alert_slack"}
    (problem,) = preflight.secrets(
        missing, GOOD | {"site_s3_endpoint": "https://s3.example.tw", "site_alert_slack": ""}
    )
    assert problem.startswith("s3_secret_key in .secrets: there is no such file")
    assert "site_s3_endpoint is 'https://s3.example.tw'" in problem


def test_a_variable_among_the_answers_is_told_where_it_has_an_effect():
    (problem,) = preflight.answers(GOOD | {"luckygas_partners": {}}, QUESTIONS)
    assert "luckygas_partners" in problem
    assert "inventory/group_vars/appliance.yml" in problem


def test_a_misspelt_answer_leads_to_the_right_one():
    given = {"site_domian": "luckygas.tw"} | {name: value for name, value in GOOD.items() if name != "site_domain"}
    problems = preflight.answers(given, QUESTIONS)
    assert any("site_domian" in problem and "Did you mean site_domain?" in problem for problem in problems)
    assert any(problem.startswith("site_domain: missing") for problem in problems)


def test_the_sandbox_may_be_called_localhost():
    assert preflight.answers(GOOD | {"site_profile": "sandbox", "site_domain": "localhost"}, QUESTIONS) == []


@pytest.mark.parametrize(
    ("installed", "version"),
    [
        ("0.1.0", "0.1.0"),
        ("0.1.0", "0.2.0"),
        ("0.1.9", "0.2.0"),
        ("0.2.0", "0.10.0"),
        ("0.10.0", "1.0.0"),
        ("0.2.0", "0.2.1"),
    ],
)
def test_a_version_that_leaves_out_no_stop_may_be_installed(installed, version):
    assert preflight.way(installed, version, ["0.2.0", "0.10.0"]) == []


@pytest.mark.parametrize(
    ("installed", "version", "first"),
    [
        ("0.1.0", "0.2.1", "0.2.0"),
        ("0.1.0", "1.0.0", "0.2.0"),
        ("0.2.0", "0.11.0", "0.10.0"),
        ("0.9.3", "1.0.0", "0.10.0"),
    ],
)
def test_one_that_does_is_told_which_to_install_first(installed, version, first):
    (problem,) = preflight.way(installed, version, ["0.2.0", "0.10.0"])
    assert f"Install {first} first" in problem
    assert installed in problem
    assert version in problem


def test_an_older_version_than_what_is_there_is_refused():
    (problem,) = preflight.way("0.10.0", "0.9.0", [])
    assert "has 0.10.0 already" in problem


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return how to run git in the checkout of an operator, whose answers are committed upon version 0.1.0."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def git(*words: str, place: str = "mine") -> None:
        me = ["-c", "user.name=me", "-c", "user.email=me@example.tw"]
        subprocess.run(["git", "-C", place, *me, *words], check=True, capture_output=True)  # noqa: S603, S607

    git("init", "--initial-branch=main", "theirs", place=".")
    for version in ("0.1.0", "0.2.0", "1.0.0"):
        Path("theirs/version").write_text(version)
        Path("theirs/site.yml").write_text(f"site_domain: luckygas.tw\n\n\n# {version}\n")
        git("add", ".", place="theirs")
        git("commit", "--message", version, place="theirs")
        git("tag", version, place="theirs")
    git("clone", "theirs", "mine", place=".")
    git("reset", "--hard", "0.1.0")
    Path("mine/site.yml").write_text("site_domain: gas.example.tw\n\n\n# 0.1.0\n")
    git("commit", "--all", "--message", "our answers")
    return git


@pytest.mark.parametrize(
    ("merged", "installed", "stops", "come"),
    [("1.0.0", "0.1.0", ["0.2.0"], ["0.1.0", "0.2.0", "1.0.0"]), ("0.2.0", "1.0.0", [], ["0.2.0", "1.0.0"])],
)
def test_the_way_to_another_version_is_one_that_keeps_the_answers(checkout, merged, installed, stops, come):
    checkout("merge", "--no-edit", merged)
    (problem,) = preflight.way(installed, merged, stops)
    for command, version in zip(
        re.findall(r"git (fetch --tags|reset --keep \w+|merge [0-9.]+\d)", problem), come, strict=True
    ):
        checkout(*command.split())
        assert Path("mine/version").read_text() == version
        assert "site_domain: gas.example.tw" in Path("mine/site.yml").read_text()
    assert "checkout v" not in problem


def test_a_taken_port_names_who_has_it():
    table = (
        'LISTEN 0 511 0.0.0.0:80   0.0.0.0:* users:(("apache2",pid=1,fd=4))\n'
        'LISTEN 0 511    [::]:443     [::]:* users:(("apache2",pid=1,fd=6))\n'
        "LISTEN 0 128 0.0.0.0:5432 0.0.0.0:*\n"
    )
    problems = preflight.taken_ports(preflight.listeners(table), {"80": "nginx", "443": "nginx", "5432": "postgres"})
    assert [problem.split(".")[0] for problem in problems] == [
        "port 80: taken by apache2",
        "port 443: taken by apache2",
        "port 5432: taken by an unknown process",
    ]


def test_a_mirror_without_a_name_is_reported():
    (problem,) = preflight.unreachable_mirrors(["mirror.invalid"])
    assert "mirror.invalid" in problem
    assert preflight.unreachable_mirrors(["localhost"]) == []
    assert preflight.unreachable_mirrors([]) != []


def test_a_package_is_there_when_it_is_so_as_a_whole_and_was_asked_for():
    table = "ii nginx\nii openssl\niF redis-server\nrc certbot\nii sudo\nii zlib1g\n"
    states = "\n".join(
        f"Package: {name}\nArchitecture: amd64\nAuto-Installed: {auto}\n"
        for name, auto in (("openssl", 1), ("sudo", 0), ("zlib1g", 1))
    )
    assert preflight.installed(table, states) == ["nginx", "sudo"]
    assert preflight.installed(table, "") == ["nginx", "openssl", "sudo", "zlib1g"]
