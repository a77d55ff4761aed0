"""What those scanners find who look for holes for a living: nothing, and by the service's own guard they get nowhere.

That statements are parameterised is shown on a service whose guard is taken out, which has two holes beside: a scanner
that finds those would have found others.
"""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from machine import Machine, wait_until

pytestmark = [pytest.mark.long, pytest.mark.alone]

SQLMAP = "sqlmap --batch --flush-session --disable-coloring --threads=4 --timeout=10 --output-dir=/opt/scan/out"
REPORT = "/opt/scan/found.json"
WAPITI = f"/opt/scan/venv/bin/wapiti --flush-session --verbose 0 --no-bugreport --format json --output {REPORT}"
PORT = 8765
SCANNED = f"http://127.0.0.1:{PORT}"
LISTS = (
    "customers?address=a&mobile=0912345678&phone_ends=5678&limit=5",
    "orders?status=placed&customer_id=1&wanted_on=2026-01-02&limit=5",
    "cylinders?serial=TW00000001&place=depot&customer_id=1",
)
ORDER = {"customer_id": 1, "note": "x", "lines": [{"cylinder_kg": 20, "quantity": 1, "unit_price_twd": 850}]}
HOLE = "identified the following injection point"
BLOCKED_WITHIN = 30


@pytest.fixture(scope="module")
def scanners(appliance: Machine) -> Iterator[None]:
    """Install them, and take them away again."""
    appliance.run("apt-get update -qq && apt-get install -qq --no-install-recommends sqlmap >/dev/null")
    appliance.run(
        "mkdir -p /opt/scan && python3 -m venv /opt/scan/venv && /opt/scan/venv/bin/pip install --quiet wapiti3",
    )
    yield
    appliance.run("rm -r /opt/scan; apt-get purge -qq --autoremove sqlmap >/dev/null")


@pytest.fixture(scope="module")
def unguarded(appliance: Machine, scanners: None) -> Iterator[str]:
    """Start the service without its guard, on a port of its own. Returns the header with a key for it."""
    key = appliance.new_key(role="dispatcher")
    principal = "key:" + key.split("_")[2]
    appliance.put(Path(__file__).with_name("scanned_service.py"), "/opt/scan/scanned_service.py")
    credentials = " ".join(
        f"--property=LoadCredential={name}:/etc/luckygas/credentials/{name}"
        for name in appliance.run("ls /etc/luckygas/credentials").split()
    )
    appliance.run(
        f"systemd-run --quiet --unit=luckygas-scanned --uid=luckygas --gid=www-data {credentials} "
        "--property=RuntimeDirectory=luckygas-web-scanned --property=EnvironmentFile=/etc/luckygas/luckygas.env "
        f"--setenv=LUCKYGAS_INSTANCE=scanned --setenv=PYTHONPATH=/opt/scan "
        f"--setenv='LUCKYGAS_TRUSTED_CLIENTS={principal} 127.0.0.1' "
        f"/opt/luckygas/current/venv/bin/gunicorn --bind=127.0.0.1:{PORT} --worker-class=gthread --threads=8 "
        "--no-control-socket scanned_service:app"
    )
    ask = f"python3 -c \"import urllib.request; urllib.request.urlopen('{SCANNED}/healthz')\""
    wait_until(lambda: appliance.attempt(ask).returncode == 0, "the service to scan", 60)
    yield f"Authorization: Bearer {key}"
    appliance.run("systemctl stop luckygas-scanned")


def sqlmap(appliance: Machine, url: str, *options: str) -> str:
    words = [*shlex.split(SQLMAP), f"--url={url}", *options]
    return appliance.run(shlex.join(words), timeout=600)


def wapiti(appliance: Machine, url: str, *options: str) -> set[str]:
    """Return the kinds of holes and of defects that were found."""
    words = [*shlex.split(WAPITI), "--url", url, "--module", "sql,timesql,xss,exec,file,crlf", *options]
    appliance.run(shlex.join(words), timeout=600)
    found = json.loads(appliance.run(f"cat {REPORT}"))
    assert found["infos"]["crawled_pages_nbr"] >= 1
    return {kind for sort in ("vulnerabilities", "anomalies") for kind, holes in found[sort].items() if holes}


@pytest.mark.usefixtures("unguarded")
def test_the_scanners_find_the_holes_that_there_are(appliance: Machine) -> None:
    assert HOLE in sqlmap(appliance, f"{SCANNED}/holes/sql?name=orders")
    assert wapiti(appliance, f"{SCANNED}/holes/page?name=a", "--scope", "url") == {"Reflected Cross Site Scripting"}


@pytest.mark.parametrize("path", LISTS)
def test_sqlmap_finds_nothing_in_lists(appliance: Machine, unguarded: str, path: str) -> None:
    said = sqlmap(appliance, f"{SCANNED}/api/v1/{path}", f"--header={unguarded}", "--ignore-code=400,422,429")
    assert HOLE not in said
    assert "do not appear to be injectable" in said


def test_sqlmap_finds_nothing_in_an_order(appliance: Machine, unguarded: str) -> None:
    body = [f"--data={json.dumps(ORDER)}", f"--headers={unguarded}\nContent-Type: application/json"]
    said = sqlmap(appliance, f"{SCANNED}/api/v1/orders", *body, "--ignore-code=400,404,422,429")
    assert HOLE not in said
    assert "do not appear to be injectable" in said


def test_wapiti_finds_nothing_that_the_document_names(appliance: Machine, unguarded: str) -> None:
    document = f"{SCANNED}/api/v1/openapi.json"
    options = ["--swagger", document, "--header", unguarded, "--scope", "folder", "--max-attack-time", "20"]
    assert wapiti(appliance, f"{SCANNED}/api/v1/", *options) == set()


def test_a_scanner_that_shows_a_key_is_blocked_soon(appliance: Machine, scanners: None) -> None:
    key = appliance.new_key(role="dispatcher")
    size = int(appliance.run("stat --format=%s /var/log/nginx/access.log"))
    url = f"https://localhost/api/v1/{LISTS[0]}"
    said = sqlmap(appliance, url, f"--header=Authorization: Bearer {key}", "--threads=1", "--ignore-code=400,429,403")
    assert HOLE not in said
    log = appliance.run(f"tail --bytes=+{size + 1} /var/log/nginx/access.log").splitlines()
    entries = [entry for entry in map(json.loads, log) if "sqlmap" in entry["user_agent"]]
    statuses = [entry["status"] for entry in entries]
    print(f"\nsqlmap is blocked after {statuses.index(403)} of {len(statuses)} requests")
    assert statuses.index(403) <= BLOCKED_WITHIN
    # The other instance may be a second behind, and the log tells no less than seconds.
    begun = [datetime.fromisoformat(entry["time"]) for entry in entries]
    known = begun[statuses.index(403)] + timedelta(seconds=2)
    assert {status for status, at in zip(statuses, begun, strict=True) if at > known} <= {403, 429}
    assert re.search(r"key:\w+", appliance.run("luckygas block list"))
