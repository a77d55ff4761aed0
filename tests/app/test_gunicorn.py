"""The service as the unit runs it: gunicorn, its settings, a socket."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "gunicorn", "--config=python:luckygas.gunicorn", "luckygas.wsgi:app"]


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, as nginx speaks it."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(path: Path, target: str) -> http.client.HTTPResponse:
    connection = SocketConnection(path)
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "Connection": "close"}
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


@pytest.fixture(scope="module")
def environment(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    directory = tmp_path_factory.mktemp("run")
    return environ | path | {"RUNTIME_DIRECTORY": str(directory), "HOME": str(directory), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="module")
def stopped(environment: dict[str, str]) -> Iterator[tuple[list[http.client.HTTPResponse], int, list[dict]]]:
    """Start the service, ask it, stop it as systemd does. Returns the answers, the exit code and the log."""
    path = Path(environment["RUNTIME_DIRECTORY"], "app.sock")
    server = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    try:
        deadline = time.monotonic() + 20
        while not path.exists() and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        answers = [get(path, target) for target in ("/healthz", "/api/v1/health", "/api/v1/orders", "/nothing")]
        server.terminate()
        output, _ = server.communicate(timeout=20)
    finally:
        server.kill()
        server.wait()
    return answers, server.returncode, [json.loads(line) for line in output.splitlines()]


def test_it_serves_on_the_socket_of_its_instance(stopped: tuple) -> None:
    answers, _, _ = stopped
    assert [answer.status for answer in answers] == [200, 200, 401, 404]
    assert json.loads(answers[0].body)["instance"] == "a"
    assert json.loads(answers[1].body)["status"] == "ok"


def test_it_stops_in_order_and_leaves_nothing_behind(stopped: tuple, environment: dict[str, str]) -> None:
    _, code, _ = stopped
    assert code == 0
    assert list(Path(environment["RUNTIME_DIRECTORY"]).iterdir()) == []


def test_all_that_it_prints_is_json(stopped: tuple) -> None:
    _, _, lines = stopped
    assert {line["logger"] for line in lines} == {"gunicorn.error", "luckygas.ops.logging"}
    assert [line["status"] for line in lines if line["message"] == "request"] == [200, 200, 401, 404]
    assert {line["instance"] for line in lines} == {"a"}
    assert not [line for line in lines if line["level"] not in {"INFO", "DEBUG"}]


def test_a_wrong_configuration_ends_the_start_with_all_problems(environment: dict[str, str]) -> None:
    wrong = environment | {"LUCKYGAS_REDIS_URL": "nowhere", "LUCKYGAS_WEB_THREADS": "0"}
    done = subprocess.run(COMMAND, env=wrong, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "luckygas cannot start:",
        "LUCKYGAS_REDIS_URL='nowhere': write it as redis+sentinel://USER@127.0.0.1:26379,127.0.0.1:26380/NAME",
        "LUCKYGAS_WEB_THREADS='0': write a whole number from 1 to 32",
    ]
