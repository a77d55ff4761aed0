"""Every secret of the appliance: who uses it, and whether this program can replace it.

The inventory's secrets.yml has the same list (tests/contract/test_secrets.py).
"""

import secrets
import string
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.places import ANSWERS
from appliance.output import RefusedError
from appliance.system import PAGES

# By these the machine was made; the playbook brings them here, and asks here for what was replaced meanwhile.
PLACE = ANSWERS / ".secrets"
LENGTH = 40
GIVEN = "whoever runs the other side gives it out: write what they gave you into .secrets/{}, then run the playbook"
PLAN = f"what is encrypted with it cannot be encrypted anew in place; go by {PAGES}/backups.md, A new passphrase"


@dataclass(frozen=True)
class Secret:
    """One of them, and how it is replaced."""

    name: str
    used_by: str
    role: str = ""  # of PostgreSQL, whose password it is
    handed: bool = False  # the service has it as a credential
    several: bool = False  # and takes several at once, one a line
    not_here: str = ""  # why this program does not replace it
    alphabet: str = string.ascii_letters + string.digits
    length: int = LENGTH

    def new_value(self) -> str:
        """Return a value that nobody can guess."""
        return "".join(secrets.choice(self.alphabet) for _ in range(self.length))

    @property
    def file(self) -> Path:
        """Where its value is kept."""
        return PLACE / self.name

    @property
    def value(self) -> str:
        """Its value; for some several, one a line, of which the first is used for what is new."""
        if not self.file.exists():
            raise RefusedError(f"{self.file} is not here: run the whole playbook first")
        return self.file.read_text().rstrip("\n")

    @property
    def days(self) -> float | None:
        """For how many days it has been what it is; None where it is not there."""
        return (time.time() - self.file.stat().st_mtime) / 86400 if self.file.exists() else None


def _given(name: str, used_by: str) -> Secret:
    return Secret(name, used_by, not_here=GIVEN.format(name))


PEPPER, VPN_KEY = "api_key_pepper", "vpn_key"
SECRETS = {
    one.name: one
    for one in (
        Secret("database_password", "the service", role="luckygas_app", handed=True, several=True),
        Secret("database_owner_password", "migrations", role="luckygas_owner", handed=True, several=True),
        Secret("database_exporter_password", "the exporter of PostgreSQL", role="exporter"),
        Secret("pool_exporter_password", "the exporter of the pool"),
        Secret("redis_admin_password", "luckygas redis"),
        Secret("redis_replica_password", "Redis, to follow its master"),
        Secret("redis_sentinel_password", "the sentinels"),
        Secret("redis_exporter_password", "the exporter of Redis"),
        Secret("redis_password", "the service", handed=True),
        Secret(PEPPER, "the service, for API keys", handed=True, several=True),
        Secret(VPN_KEY, "the VPN", alphabet=string.ascii_letters + string.digits + "+/", length=42),
        Secret("backup_passphrase", "backups, dumps, the configuration", not_here=PLAN),
        _given("s3_access_key", "the copy in the bucket"),
        _given("s3_secret_key", "the copy in the bucket"),
        _given("smtp_password", "alerts by mail"),
        _given("slack_url", "alerts in a channel"),
        _given("google_secret", "the service, for routes"),
        _given("sms_secret", "the service, for text messages"),
        _given("banking_secret", "the service, for the bank"),
        _given("einvoice_secret", "the service, for invoices"),
    )
}


def named(name: str) -> Secret:
    """Return the secret of that name that this program can replace."""
    if name not in SECRETS:
        raise RefusedError(f"there is no secret {name!r}; luckygas rotate --list shows what there is")
    if SECRETS[name].not_here:
        raise RefusedError(f"{name}: {SECRETS[name].not_here}")
    return SECRETS[name]


def ages() -> dict[str, float]:
    """Return for how many days each secret that is here has been what it is."""
    return {one.name: one.days for one in SECRETS.values() if one.days is not None}
