"""Roles of PostgreSQL: another password for those who connect from now on. Who is connected stays so."""

import base64
import hashlib
import hmac
import secrets

from appliance.backup import watch
from appliance.database import pool
from appliance.database.cluster import Cluster
from appliance.database.postgres import PSQL
from appliance.database.settings import Instance, Settings
from appliance.database.state import Store
from appliance.output import FailedError, RefusedError
from appliance.system import run

ITERATIONS = 4096
PATIENCE_SECONDS = 20.0


def leader() -> Instance:
    """Return who takes writes."""
    found = watch.leader(Store(), Cluster(Settings.load()))
    if found is None:
        raise RefusedError("no instance of PostgreSQL leads at the moment; see luckygas db status")
    return found


def verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803). It gets this, since it would log a statement as it is."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = [base64.b64encode(one).decode() for one in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{words[0]}${words[1]}:{words[2]}"


def give(passwords: dict[str, str], *, wait: bool = True) -> None:
    """Give roles other passwords, all at once. Without `wait` although there is no standby yet to have them, too."""
    lines = [] if wait else ["SET synchronous_commit = local;"]
    lines += [f"ALTER ROLE {role} PASSWORD '{verifier(password)}';" for role, password in passwords.items()]
    command = [PSQL, "-XAtqw", "-v", "ON_ERROR_STOP=1", "--single-transaction", *leader().address("postgres")]
    done = run([*command, "--file=-"], timeout=PATIENCE_SECONDS, told="\n".join(lines))
    if done.returncode:
        raise FailedError(f"the roles keep their passwords: {done.stderr.strip()}")


def reload_pool() -> None:
    """Have the pool read who may look at its figures."""
    done = run(["systemctl", "reload", pool.UNIT], timeout=30)
    if done.returncode:
        raise FailedError(f"systemctl reload {pool.UNIT}: {done.stderr.strip()}")
