"""Runs in the machine with the service's own Python, settings and secrets: prints new keys of a plain service.

python make_keys.py TIER COUNT
"""

import sys
import time
from datetime import UTC, datetime, timedelta

from luckygas import tools
from luckygas.access import Role, Tier
from luckygas.accounts import service

tier, count = Tier(sys.argv[1]), int(sys.argv[2])
with tools.transaction() as (session, resources):
    common = {"pepper": resources.settings.api_key_pepper, "role": Role.SERVICE, "tier": tier}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for number in range(count):
        name = f"made-{time.time_ns()}-{number}"
        print(service.create_key(session, name=name, expires_at=tomorrow, **common).reveal())
