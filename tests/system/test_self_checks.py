"""A self-check that cannot fail is worth nothing: each is shown faults of its own."""

import json

import pytest

pytestmark = pytest.mark.alone

HBA = "/etc/postgresql/17/pg1/pg_hba.conf"
CREDENTIAL = "/etc/luckygas/credentials/redis_password"
KEY = "/etc/nginx/tls/current/privkey.pem"
ACL = "/etc/redis/managed/users.acl"
EXPORTER_FILE = "/etc/luckygas/exporters/redis/passwords"
REPOSITORY_SETTINGS = "/etc/pgbackrest/pgbackrest.conf"
ZONES = "../usr/share/zoneinfo"

# role: [(what breaks it, what repairs it)]
FAULTS = {
    "base": [
        (f"ln -sfn {ZONES}/UTC /etc/localtime", f"ln -sfn {ZONES}/Asia/Taipei /etc/localtime"),
        ("chmod -x /usr/sbin/policy-rc.d", "chmod +x /usr/sbin/policy-rc.d"),
    ],
    "postgresql": [
        # An instance that stops comes back before anybody could check; what brings it back is a fault that stays.
        ("systemctl stop luckygas-database-supervisor", "systemctl start luckygas-database-supervisor"),
        (
            f"cp -p {HBA} /tmp && echo local all all trust >{HBA} && systemctl reload postgresql@17-pg1",
            f"cp -p /tmp/pg_hba.conf {HBA} && systemctl reload postgresql@17-pg1",
        ),
    ],
    "pgbackrest": [
        ("systemctl stop luckygas-backup-watch.timer", "systemctl start luckygas-backup-watch.timer"),
        (f"chmod 644 {REPOSITORY_SETTINGS}", f"chmod 640 {REPOSITORY_SETTINGS}"),
        ("chmod 755 /var/lib/luckygas/sealed", "chmod 700 /var/lib/luckygas/sealed"),
    ],
    "nftables": [
        ("nft add rule inet luckygas input tcp dport 5432 accept", "luckygas firewall apply"),
        ("systemctl stop nftables", "systemctl start nftables"),
    ],
    "hardening": [
        ("systemctl stop fail2ban", "systemctl start fail2ban"),
    ],
    "redis": [
        (f"chmod 644 {ACL}", f"chmod 640 {ACL}"),
        ("systemctl stop redis-server@a", "systemctl start redis-server@a"),
        ("systemctl stop luckygas-redis-restart.timer", "systemctl start luckygas-redis-restart.timer"),
    ],
    "redis_sentinel": [
        ("systemctl stop redis-sentinel@2", "systemctl start redis-sentinel@2"),
    ],
    "exporters": [
        (f"chmod 644 {EXPORTER_FILE}", f"chmod 600 {EXPORTER_FILE}"),
        ("systemctl stop prometheus-redis-exporter", "systemctl start prometheus-redis-exporter"),
    ],
    "luckygas": [
        ("systemctl stop luckygas-web@b", "systemctl start luckygas-web@b"),
        (f"chmod 644 {CREDENTIAL}", f"chmod 600 {CREDENTIAL}"),
        (
            "readlink /opt/luckygas/current >/tmp/current && ln -sfn releases/none /opt/luckygas/current",
            'ln -sfn "$(cat /tmp/current)" /opt/luckygas/current',
        ),
    ],
    "luckygas_block": [
        ("systemctl stop luckygas-block.service", "systemctl start luckygas-block.service"),
        ("chmod 666 /run/luckygas-block/socket", "chmod 660 /run/luckygas-block/socket"),
    ],
    "nginx": [
        ("systemctl stop nginx", "systemctl start nginx"),
        (f"chmod 644 {KEY}", f"chmod 600 {KEY}"),
    ],
}
# Each takes a run of the playbook.
ALWAYS = ("postgresql", "pgbackrest", "redis", "luckygas", "nginx")


@pytest.mark.parametrize(
    ("role", "breaks", "repairs"),
    [
        pytest.param(
            role,
            *fault,
            id=f"{role}-{fault[0]}",
            marks=[] if role in ALWAYS and fault is faults[0] else pytest.mark.long,
        )
        for role, faults in FAULTS.items()
        for fault in faults
    ],
)
def test_a_self_check_finds_a_fault(appliance, role, breaks, repairs):
    appliance.run(breaks)
    try:
        found = appliance.playbook("verify.yml", "-e", json.dumps({"appliance_roles": [role]}))
    finally:
        appliance.run(repairs)
    assert found.status == 2, found.output
    assert f"{role} : verify | " in found.output
