"""The playbook may be run at any time, on anything, and be broken off anywhere."""

import json
import os

import pytest
from machine import wait_until

# Each in the middle of something: a package transaction, a half-written configuration, before a release, after it. And
# what is installed and enabled by then, and not configured.
POINTS = {
    "TASK [base : install | Refresh the package index": "'fail2ban*' 'pgbouncer*' 'nginx*' 'prometheus*'",
    "TASK [redis : configure | Write the settings of every instance": "'nginx*' 'prometheus*'",
    "TASK [luckygas : release | Bring it into force": "'nginx*' 'prometheus.*' 'prometheus-alertmanager*'",
    "TASK [luckygas : service | Have everything come back with the machine": "'nginx*' 'prometheus.*'",
}
# Each costs a run of all that is before it; CI has fewer than a release.
INSTALLATION_KILLS = int(os.environ.get("LUCKYGAS_INSTALLATION_KILLS", len(POINTS)))


@pytest.mark.long
def test_check_mode_runs_on_an_installed_machine_and_foretells_nothing(appliance):
    play = appliance.playbook("site.yml", "--check", "--diff")
    assert play.status == 0, play.output
    assert play.changed == 0, play.changes


def test_check_mode_foretells_a_release(appliance):
    wheel = "/opt/luckygas/incoming.whl"
    appliance.run(f"mv {wheel} {wheel}.away")
    try:
        play = appliance.playbook("site.yml", "--check", "--diff", "--tags", "luckygas")
    finally:
        appliance.run(f"mv {wheel}.away {wheel}")
    assert play.status == 0, play.output
    assert play.changed > 0


@pytest.mark.bare
def test_a_run_that_was_killed_again_and_again_converges(bare_machine):
    foretold = bare_machine.playbook("site.yml", "--check", "--diff")
    assert foretold.status == 0, foretold.output
    assert foretold.changed > 0
    runs = []
    points = list(POINTS)[:: len(POINTS) // INSTALLATION_KILLS]
    for point in points:
        runs.append(bare_machine.playbook("site.yml", "-vvv", until=point))
        begun = bare_machine.run(f"systemctl list-units --no-legend --state=active,failed {POINTS[point]}")
        assert not begun
    assert [point for point, run in zip(points, runs, strict=True) if run.status == 0] == []
    runs.append(bare_machine.playbook("site.yml", "-vvv"))
    assert runs[-1].status == 0, runs[-1].output[-5000:]
    told = "".join(run.output for run in runs)
    assert [name for name, value in bare_machine.secrets().items() if value in told] == []
    last = bare_machine.playbook("site.yml")
    assert last.changed == 0, last.changes
    wait_until(lambda: bare_machine.health() == "ok", "the service to be well", 60)

    def is_proven() -> bool:
        told = json.loads(bare_machine.run("luckygas backups --json", check=False))
        return any(one["verdict"] == "good" for one in told.get("backups", []))

    wait_until(is_proven, "a first backup to be proven, by nobody's doing", 240)


def test_a_version_that_leaves_out_another_is_refused_before_anything_changes(appliance):
    file = "/var/lib/luckygas/version"
    installed = appliance.run(f"cat {file}")
    appliance.run(f"echo 0.0.1 >{file}")
    try:
        play = appliance.playbook("site.yml", "-e", '{"base_stops": ["0.0.2"]}')
    finally:
        appliance.run(f"echo {installed} >{file}")
    assert play.status != 0
    assert "Install 0.0.2 first" in play.output
    assert play.changed == 0, play.changes


def test_what_is_in_the_way_is_said_before_anything_changes(appliance):
    try:
        appliance.run("systemctl stop nginx.service && systemd-run --unit=squatter python3 -m http.server 80")
        wait_until(lambda: appliance.run("ss -Hltn sport = :80"), "somebody else on port 80")
        wrong = ("site_timezone=Asia/Taipeh", "site_domian=luckygas.tw", "site_alert_slack=#lucky-gas")
        play = appliance.playbook("site.yml", *(word for answer in wrong for word in ("-e", answer)))
    finally:
        appliance.run("systemctl stop squatter.service; systemctl start nginx.service")
    assert play.status != 0
    assert play.changed == 0, play.changes
    for word in ("port 80: taken by python3", "Asia/Taipeh", "Did you mean site_domain?", "slack_url in .secrets"):
        assert word in play.output


def test_a_change_that_was_never_put_in_force_is_found(appliance):
    """A handler would have been lost here: the file is as it should be, the process is not."""
    appliance.run("touch /etc/luckygas/luckygas.env /etc/nginx/nginx.conf")
    before = appliance.run("systemctl show --value --property=MainPID luckygas-web@a.service")
    play = appliance.playbook("site.yml", "--tags", "luckygas,nginx")
    assert play.status == 0, play.output
    assert play.changed == 2, play.output  # both instances and the worker in one procedure, nginx
    assert appliance.run("systemctl show --value --property=MainPID luckygas-web@a.service") != before
