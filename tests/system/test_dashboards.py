"""Every query of every dashboard brings figures from the Prometheus of the appliance."""

import json
import shlex

import pytest
from machine import ROOT, wait_until

pytestmark = pytest.mark.long

BOARDS = {file.stem: json.loads(file.read_text()) for file in (ROOT / "dashboards").glob("*.json")}
# What Grafana puts there: four scrapes.
INTERVAL = "1m"


# Asks as Grafana does, all of them in one go, and prints those that bring nothing.
ASK = """
import json, sys, urllib.parse, urllib.request

def has_figures(query):
    page = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(page) as answer:
        return any(row["value"][1] != "NaN" for row in json.load(answer)["data"]["result"])

print(json.dumps([query for query in json.loads(sys.argv[1]) if not has_figures(query)]))
"""


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_query_brings_figures(appliance, name):
    targets = [target for panel in BOARDS[name]["panels"] for target in panel["targets"]]
    queries = [target["expr"].replace("$__rate_interval", INTERVAL) for target in targets]
    assert queries
    left = queries

    def all_bring_figures() -> bool:
        nonlocal left
        appliance.health()  # somebody asks the service
        left = json.loads(appliance.run(f"python3 - {shlex.quote(json.dumps(left))}", stdin=ASK))
        return not left

    try:
        wait_until(all_bring_figures, "figures", 120)
    finally:
        print("\n".join(left))
