"""Runs in the machine: asks each side in turn, ROUNDS times, and prints requests per second and CPU of one request.

python3 edge.py ROUNDS
"""

import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SECONDS, CONNECTIONS = 6, 8
KEYS = {"enterprise": 10, "standard": 70}  # so many that the limit of none is reached
PATH = "/api/v1/bench"
SIDES = {
    "bare": (2443, "enterprise", PATH),
    "enterprise": (443, "enterprise", PATH),
    "standard": (443, "standard", PATH),
    "a list": (443, "enterprise", "/api/v1/orders?limit=1"),
}
SERVERS = re.compile(r"nginx|gunicorn|postgres|pgbouncer|redis")
TICK = os.sysconf("SC_CLK_TCK")
STEPS = {"wsgi_app", "full_dispatch_request", "dispatch_request", "guarded_view", "_admit", "process_response"}
SPY, PROFILED_SECONDS = "/opt/bench/venv/bin/py-spy", 15
PROFILED = "/run/luckygas-web-profiled/app.sock"


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603


def new_keys(tier: str) -> Path:
    """Make keys, and return the file in which they are."""
    name = ["luckygas-app", "key", "create", "--role", "admin", "--tier", tier, "--name"]
    file = Path(f"/opt/bench/{tier}.keys")
    file.write_text("".join(run(*name, f"bench-{tier}-{time.time_ns()}") for _ in range(KEYS[tier])))
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


def measure(port: int, keys: Path, path: str) -> tuple[float, float]:
    """Return requests per second, and milliseconds of the processor for each of them."""
    before = processor_seconds()
    script = ["--script", "/opt/bench/edge_keys.lua", f"https://127.0.0.1:{port}{path}", "--", str(keys)]
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

    def ask(self, path: str, key: str) -> None:
        self.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        self.getresponse().read()


def dearest(keys: Path) -> None:
    """Print which parts of a request take most, by a profiler that looks from outside who holds the interpreter."""
    asker = Profiled("localhost")
    key, stacks = keys.read_text().split()[0], Path("/opt/bench/stacks")
    asker.ask(PATH, key)
    master = run("systemctl", "show", "--value", "--property=MainPID", "luckygas-web@profiled").strip()
    worker = run("pgrep", "--parent", master).split()[0]
    record = [SPY, "record", "--gil", "--rate=500", f"--duration={PROFILED_SECONDS}", "--format=raw"]
    with subprocess.Popen([*record, f"--output={stacks}", f"--pid={worker}"], stdout=subprocess.DEVNULL) as spy:  # noqa: S603
        requests = 0
        while spy.poll() is None:
            asker.ask(PATH, key)
            requests += 1
    parts: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        parts[part_of(stack.split(";"))] += int(count)
    print(f"\nWhere the service spends its time on {requests} requests of an enterprise key:")
    for name, count in parts.most_common(8):
        print(f"  {count / parts.total():5.0%}  {name}")


def part_of(stack: list[str]) -> str:
    """Return what is called, outermost first, below the steps that every request takes."""
    functions = [re.sub(r":\d+\)$", ")", frame).rsplit("site-packages/", 1)[-1] for frame in stack]
    names = [function.split(" ")[0].rsplit(".", 1)[-1] for function in functions]
    last = max((place for place, name in enumerate(names) if name in STEPS), default=0)
    return functions[min(last + 1, len(functions) - 1)]


def main(rounds: int) -> None:
    keys = {tier: new_keys(tier) for tier in KEYS}
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for port, tier, path in SIDES.values():
        measure(port, keys[tier], path)  # nobody is warm yet
    print(f"GET over HTTPS, {CONNECTIONS} connections that are kept: requests a second, and CPU of one in ms")
    for number in range(1, rounds + 1):
        for side, (port, tier, path) in SIDES.items():
            found[side].append(measure(port, keys[tier], path))
        shown = (f"{side} {found[side][-1][0]:.0f}/s {found[side][-1][1]:.2f} ms" for side in SIDES)
        print(f"  round {number}", *shown, sep="   ", flush=True)
    for side in SIDES:
        rates, costs = ([one[part] for one in found[side]] for part in (0, 1))
        ratios = [[one[0] / bare[0], one[1] / bare[1]] for one, bare in zip(found[side], found["bare"], strict=True)]
        rate, dearer = (statistics.median(ratio[part] for ratio in ratios) for part in (0, 1))
        print(
            f"  median    {side:<12}{statistics.median(rates):6.0f}/s {statistics.median(costs):6.2f} ms"
            f"   {rate:4.0%} of the rate of bare, {dearer:.2f} times its CPU"
        )
    dearest(keys["enterprise"])


main(int(sys.argv[1]))
