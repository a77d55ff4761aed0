"""What systemd keeps from each service: `systemd-analyze security` may give none a higher figure than is argued for."""

import re
from pathlib import Path

LIMIT = 3.0
DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
# All of the target, and what timers and sockets begin; of a template, an instance that nobody has.
LOOK = r"""
{ systemctl show --property=Wants --value luckygas.target | tr ' ' '\n'
  systemctl list-unit-files --no-legend --plain 'luckygas-*.service' certbot.service | sed 's/ .*//; s/@[.]/@none./'
} | grep '[.]service$' | sort --unique | xargs systemd-analyze security --no-pager
"""


def test_no_service_may_do_more_than_is_argued_for(appliance):
    excepted = dict(re.findall(r"^\| `(\S+)` +\| (\d\.\d) \|", DOCUMENT.read_text(), re.MULTILINE))
    told = appliance.run(LOOK).stdout
    found = {name: float(figure) for name, figure in re.findall(r"level for (\S+): (\d+\.\d)", told)}
    assert {"nginx.service", "postgresql@17-pg1.service", "luckygas-report@none.service"} <= set(found)
    allowed = {name: float(excepted.get(name.replace("@none", "@"), LIMIT)) for name in found}
    assert {name: figure for name, figure in found.items() if figure > allowed[name]} == {}
