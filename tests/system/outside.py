"""Companies of ours in the place of those outside of the machine, and a collector of traces among them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import Machine, wait_until

HERE = Path(__file__).parent
STUBS = HERE.parent / "app"
PORT = 9990
COLLECTOR = f"http://127.0.0.1:{PORT}/collector"
UNITS = "luckygas-web@a luckygas-web@b luckygas-worker"
PLACE = "/run/outside-companies"
DROP_INS = "/run/systemd/system/luckygas-web@.service.d /run/systemd/system/luckygas-worker.service.d"
START = f"""
set -e
cp /etc/luckygas/credentials/banking_secret /etc/luckygas/credentials/einvoice_secret {PLACE}/
for name in BANKING EINVOICE SMS; do
  echo LUCKYGAS_${{name}}_URL=http://lucky@127.0.0.1:{PORT}/$(echo $name | tr A-Z a-z)
done >{PLACE}/environment
cat >>{PLACE}/environment
for place in {DROP_INS}; do
  mkdir -p $place
  printf '[Service]\\nEnvironmentFile={PLACE}/environment\\n' >$place/outside-companies.conf
done
systemctl daemon-reload
systemd-run --quiet --unit=outside-companies --property=Restart=always --setenv=PYTHONDONTWRITEBYTECODE=1 \
  /opt/luckygas/current/venv/bin/python {PLACE}/outside_companies.py {PORT}
systemctl restart {UNITS}
"""
STOP = f"""
systemctl stop outside-companies
for place in {DROP_INS}; do rm -f $place/outside-companies.conf; done
systemctl daemon-reload
systemctl restart {UNITS}
rm -rf {PLACE}
"""
TOLD = f"http://127.0.0.1:{PORT}/told"
DAY_SECONDS, TAIPEI_SECONDS = 86_400, 8 * 3600


def wait_for_a_day(seconds: float) -> None:
    """Have so many seconds of the day in Taipei left: what is booked before midnight is of another day's books."""
    left = DAY_SECONDS - (time.time() + TAIPEI_SECONDS) % DAY_SECONDS
    if left < seconds:
        time.sleep(left + 1)


class Companies:
    """The outside companies, as the test tells them what to do."""

    def __init__(self, machine: Machine) -> None:
        """Use those that `START` began."""
        self._machine = machine

    def tell(self, **told: Any) -> None:
        """Have them behave otherwise from now on."""
        self._machine.fetch(TOLD, "--request", "PUT", "--json", "@-", stdin=json.dumps(told))

    def did(self) -> dict[str, Any]:
        """Return what they did."""
        return json.loads(self._machine.fetch(TOLD))

    def spans(self, trace: str) -> list[dict[str, Any]]:
        """Return what the collector has received of a trace."""
        received = json.loads(self._machine.fetch(f"{COLLECTOR}/spans"))
        return [span for span in received if span["trace"] == trace]


@contextmanager
def outside(appliance: Machine, **settings: str) -> Iterator[Companies]:
    """Let the service have to do with them, under these `settings` beside; all is as before in the end."""
    appliance.run(f"mkdir -p {PLACE}")
    for source in (HERE / "outside_companies.py", STUBS / "partners.py", STUBS / "receiver.py", STUBS / "serving.py"):
        appliance.put(source, f"{PLACE}/{source.name}")
    try:
        appliance.run(START, stdin="".join(f"{name}={value}\n" for name, value in settings.items()))
        # Degraded while a breaker of an earlier day is open, until somebody calls that company.
        wait_until(lambda: appliance.health() in ("ok", "degraded"), "the service to answer", 60)
        yield Companies(appliance)
    finally:
        appliance.run(STOP)
