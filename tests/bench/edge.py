"""Runs in the machine: asks each side in turn, ROUNDS times, and prints requests per second and CPU of one request.

python3 edge.py ROUNDS
"""

import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SECONDS, CONNECTIONS = 6, 8
KEYS = 40  # of each tier, so that the limit of none is reached
PATH = "/api/v1/orders?limit=1"
SIDES = {"bare": (2443, "enterprise"), "enterprise": (443, "enterprise"), "standard": (443, "standard")}
SERVERS = re.compile(r"nginx|gunicorn|postgres|pgbouncer|redis")
TICK = os.sysconf("SC_CLK_TCK")
PROFILED = "/run/luckygas-web-profiled/app.sock"


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603


def new_keys(tier: str) -> Path:
    """Make keys, and return the file in which they are."""
    name = ["luckygas-app", "key", "create", "--role", "admin", "--tier", tier, "--name"]
    file = Path(f"/opt/bench/{tier}.keys")
    file.write_text("".join(run(*name, f"bench-{tier}-{time.time_ns()}") for _ in range(KEYS)))
    return file


def processor_seconds() -> dict[int, float]:
    """Return the processor's time that each process behind a request has had."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().decode(errors="replace")
            fields = (place / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if SERVERS.search(command):
            found[int(place.name)] = (int(fields[11]) + int(fields[12])) / TICK
    return found


def measure(port: int, keys: Path) -> tuple[float, float]:
    """Return requests per second, and milliseconds of the processor for each of them."""
    before = processor_seconds()
    script = ["--script", "/opt/bench/edge_keys.lua", f"https://127.0.0.1:{port}{PATH}", "--", str(keys)]
    said = run("wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s", *script)
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    after = processor_seconds()
    requests = int(re.search(r"(\d+) requests in", said)[1])
    spent = sum(after[process] - before.get(process, 0) for process in after)
    return float(re.search(r"Requests/sec: +([0-9.]+)", said)[1]), 1000 * spent / requests


class Profiled(http.client.HTTPConnection):
    """The instance with the profiler."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(PROFILED)

    def ask(self, path: str, key: str = "") -> bytes:
        self.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return self.getresponse().read()


def dearest(keys: Path, number: int = 600) -> None:
    """Print which parts of a request take most."""
    asker = Profiled("localhost")
    key = keys.read_text().split()[0]
    for _ in range(50):
        asker.ask(PATH, key)
    first = json.loads(asker.ask("/bench"))
    for _ in range(number):
        asker.ask(PATH, key)
    last = json.loads(asker.ask("/bench"))
    total = last["total"] - first["total"]
    parts = {name: seconds - first["parts"].get(name, 0) for name, seconds in last["parts"].items()}
    print(
        f"\nThe service's own part, by a profiler that makes all of it slower; {number} requests of an enterprise key:"
    )
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1])[:8]:
        print(f"  {seconds / total:5.0%}  {name}")


def main(rounds: int) -> None:
    keys = {tier: new_keys(tier) for tier in ("enterprise", "standard")}
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for port, tier in SIDES.values():
        measure(port, keys[tier])  # nobody is warm yet
    print(f"GET {PATH} over HTTPS, {CONNECTIONS} connections that are kept: requests a second, and CPU of one in ms")
    for number in range(1, rounds + 1):
        for side, (port, tier) in SIDES.items():
            found[side].append(measure(port, keys[tier]))
        shown = (f"{side} {found[side][-1][0]:.0f}/s {found[side][-1][1]:.2f} ms" for side in SIDES)
        print(f"  round {number}", *shown, sep="   ", flush=True)
    for side in SIDES:
        rates, costs = ([one[part] for one in found[side]] for part in (0, 1))
        ratios = [[bare[0] / one[0], one[1] / bare[1]] for one, bare in zip(found[side], found["bare"], strict=True)]
        slower, dearer = (statistics.median(ratio[part] for ratio in ratios) for part in (0, 1))
        print(
            f"  median    {side:<12}{statistics.median(rates):6.0f}/s {statistics.median(costs):6.2f} ms"
            f"   {slower:.2f} times slower, {dearer:.2f} times dearer than bare"
        )
    dearest(keys["enterprise"])


main(int(sys.argv[1]))
