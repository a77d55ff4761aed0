"""Runs in the machine: asks each side in turn, ROUNDS times, and prints requests per second and CPU of one request.

python3 edge.py ROUNDS
"""

import http.client
import itertools
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECONDS, CONNECTIONS = 6, 8
KEYS = {"enterprise": 60, "standard": 500}  # so many that the limit of none is reached
PATH = "/api/v1/bench"
SIDES = {
    "bare": (2443, "enterprise", PATH),
    "enterprise": (443, "enterprise", PATH),
    "standard": (443, "standard", PATH),
    "a list": (443, "enterprise", "/api/v1/orders?limit=1"),
}
METRICS, LOG = "http://127.0.0.1:9464/metrics", Path("/var/log/nginx/access.log")
COLLECTOR_PORT, SEND_SECONDS = 24318, 6
SERVERS = re.compile(r"nginx|gunicorn|postgres|pgbouncer|redis")
TICK = os.sysconf("SC_CLK_TCK")
STEPS = {"wsgi_app", "full_dispatch_request", "dispatch_request", "guarded_view", "_admit", "process_response"}
SPY, PROFILED_SECONDS = "/opt/bench/venv/bin/py-spy", 15
PROFILED = "/run/luckygas-web-profiled/app.sock"


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout  # noqa: S603


def new_keys(tier: str) -> Path:
    """Make keys by the service's own code, with its settings and secrets; return the file in which they are."""
    tool = Path("/usr/local/sbin/luckygas-app").read_text()
    program = Path("/opt/bench/python")
    program.write_text(tool.replace('/venv/bin/luckygas-app"', '/venv/bin/python"'))
    file = Path(f"/opt/bench/{tier}.keys")
    file.write_text(run("sh", str(program), "/opt/bench/make_keys.py", tier, str(KEYS[tier])))
    return file


class Collector(BaseHTTPRequestHandler):
    """Takes what the service sends of its traces, as `tests/bench/edge` told it to."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        Collector.taken += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def collect() -> None:
    """Take spans from now on."""
    server = ThreadingHTTPServer(("127.0.0.1", COLLECTOR_PORT), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def counted() -> int:
    """Return how many requests of the view the service's metrics say there were."""
    with urllib.request.urlopen(METRICS, timeout=10) as page:
        metric = rf'^luckygas_http_requests_total\{{.*route="{PATH}".*\}} (.+)$'
        return sum(int(float(value)) for value in re.findall(metric, page.read().decode(), re.MULTILINE))


def show_layers(asked: int, counted_before: int, log_before: int) -> None:
    """Print what each layer did of so many requests of the view, and which headers an answer has."""
    time.sleep(SEND_SECONDS)
    with LOG.open("rb") as log:
        log.seek(log_before)
        logged = log.read().count(f'"route":"{PATH}"'.encode())
    connection = http.client.HTTPSConnection("127.0.0.1", context=ssl._create_unverified_context())  # noqa: S323, SLF001
    key = Path("/opt/bench/standard.keys").read_text().split()[0]
    connection.request("GET", PATH, headers={"Host": "localhost", "Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    did = {"counted": counted() - counted_before, "logged": logged, "bytes of spans": Collector.taken}
    print(f"\nOf {asked} requests:", ", ".join(f"{value} {name}" for name, value in did.items()))
    print("An answer says:", ", ".join(sorted(name.lower() for name, _ in answer.getheaders())))
    if min(did["counted"], logged) < asked or not Collector.taken or "RateLimit" not in answer.headers:
        sys.exit("a layer did not do its work, so this measures nothing")


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


def measure(port: int, keys: Path, path: str) -> tuple[float, float, int]:
    """Return requests per second, milliseconds of the processor for each of them, and how many they were."""
    before = processor_seconds()
    script = ["--script", "/opt/bench/edge_keys.lua", f"https://127.0.0.1:{port}{path}", "--", str(keys)]
    said = run("wrk", "--threads=1", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s", *script)
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    after = processor_seconds()
    requests = int(re.search(r"(\d+) requests in", said)[1])
    spent = sum(after[process] - before.get(process, 0) for process in after)
    return float(re.search(r"Requests/sec: +([0-9.]+)", said)[1]), 1000 * spent / requests, requests


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
    every, stacks = itertools.cycle(keys.read_text().split()), Path("/opt/bench/stacks")
    asker.ask(PATH, next(every))
    master = run("systemctl", "show", "--value", "--property=MainPID", "luckygas-web@profiled").strip()
    worker = run("pgrep", "--parent", master).split()[0]
    record = [SPY, "record", "--gil", "--rate=500", f"--duration={PROFILED_SECONDS}", "--format=raw"]
    with subprocess.Popen([*record, f"--output={stacks}", f"--pid={worker}"], stdout=subprocess.DEVNULL) as spy:  # noqa: S603
        requests = 0
        while spy.poll() is None:
            asker.ask(PATH, next(every))
            requests += 1
    parts: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        parts[part_of(stack.split(";"))] += int(count)
    print(f"\nWhere the service spends its time on {requests} requests of enterprise keys:")
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
    collect()
    found: dict[str, list[tuple[float, float, int]]] = {side: [] for side in SIDES}
    for port, tier, path in SIDES.values():
        measure(port, keys[tier], path)  # nobody is warm yet
    before = counted(), LOG.stat().st_size
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
    show_layers(sum(one[2] for side in ("enterprise", "standard") for one in found[side]), *before)
    dearest(keys["enterprise"])


main(int(sys.argv[1]))
