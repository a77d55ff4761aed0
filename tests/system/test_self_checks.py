"""A self-check that cannot fail is worth nothing: each is shown a fault of its own."""

import json

import pytest

FAULTS = {
    "base-zone": ("base", "ln -sfn ../usr/share/zoneinfo/UTC /etc/localtime", "ln -sfn ../usr/share/zoneinfo/Asia/Taipei /etc/localtime"),
    "base-packages": ("base", "chmod -x /usr/sbin/policy-rc.d", "chmod +x /usr/sbin/policy-rc.d"),
    "postgresql-stopped": ("postgresql", "systemctl stop postgresql@17-pg1", "systemctl start postgresql@17-pg1"),
    "postgresql-open": (
        "postgresql",
        "cp -p /etc/postgresql/17/pg1/pg_hba.conf /tmp && echo 'local all all trust' >/etc/postgresql/17/pg1/pg_hba.conf "
        "&& systemctl reload postgresql@17-pg1",
        "cp -p /tmp/pg_hba.conf /etc/postgresql/17/pg1/ && systemctl reload postgresql@17-pg1",
    ),
    "redis-stopped": ("redis", "systemctl stop redis-server@a", "systemctl start redis-server@a"),
    "redis-readable": ("redis", "chmod 644 /etc/redis/managed/users.acl", "chmod 640 /etc/redis/managed/users.acl"),
    "luckygas-one-away": ("luckygas", "systemctl stop luckygas-web@b", "systemctl start luckygas-web@b"),
    "luckygas-secret": ("luckygas", "chmod 644 /etc/luckygas/credentials/redis_password", "chmod 600 /etc/luckygas/credentials/redis_password"),
    "luckygas-old-release": (
        "luckygas",
        "readlink /opt/luckygas/current >/tmp/current && ln -sfn releases/none /opt/luckygas/current",
        'ln -sfn "$(cat /tmp/current)" /opt/luckygas/current',
    ),
    "nginx-stopped": ("nginx", "systemctl stop nginx", "systemctl start nginx"),
    "nginx-key": ("nginx", "chmod 644 /etc/nginx/tls/current/privkey.pem", "chmod 600 /etc/nginx/tls/current/privkey.pem"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_self_check_finds_its_fault(appliance, fault):
    role, breaks, repairs = FAULTS[fault]
    appliance.run(breaks)
    try:
        found = appliance.playbook("verify.yml", "-e", json.dumps({"appliance_roles": [role]}))
    finally:
        appliance.run(repairs)
    assert found.status == 2, found.output
    assert f"{role} : verify | " in found.output


def test_a_healthy_appliance_passes_every_self_check(appliance):
    play = appliance.playbook("verify.yml")
    assert play.status == 0, play.output
    assert play.changed == 0
