"""The service as the unit runs it, from its start to its end."""

import json
import socket
import subprocess
from http.client import HTTPResponse
from pathlib import Path

import pytest

from gunicorn_server import COMMAND, environment_in, serving
from waiting import eventually


@pytest.fixture(scope="module")
def environment(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_in(tmp_path_factory.mktemp("run"), environ)


@pytest.fixture(scope="module")
def stopped(environment: dict[str, str]) -> tuple[list[HTTPResponse], int, list[dict]]:
    """Start the service, ask it, stop it as systemd does. Returns the answers, the exit code and the log."""
    with serving(environment) as server:
        eventually(lambda: server.get("/api/v1/health").status == 200, "the first good answer")
        answers = [server.get(target) for target in ("/healthz", "/api/v1/health", "/api/v1/orders", "/nothing")]
        output = server.stop()
    lines = [json.loads(line) for line in output.splitlines()]
    # On a busy machine some requests are slow, and told of.
    return answers, server.process.returncode, [line for line in lines if line["message"] != "request"]


def test_it_serves_on_the_socket_of_its_instance(stopped: tuple) -> None:
    answers, _, _ = stopped
    assert [answer.status for answer in answers] == [200, 200, 401, 404]
    assert json.loads(answers[0].body)["instance"] == "a"
    assert json.loads(answers[1].body)["status"] == "ok"


def test_it_stops_in_order_and_leaves_nothing_behind(stopped: tuple, environment: dict[str, str]) -> None:
    _, code, _ = stopped
    assert code == 0
    assert list(Path(environment["RUNTIME_DIRECTORY"]).iterdir()) == []


@pytest.mark.parametrize(
    ("request_line", "end"), [("GET /api/v1/orders HTTP/1.1", b"}"), ("HEAD /healthz HTTP/1.1", b"\r\n\r\n")]
)
def test_an_answer_is_there_whole_or_not_at_all(environment: dict[str, str], request_line: str, end: bytes) -> None:
    """Else nginx has the head of one that dies in between, and can ask nobody else."""
    request = f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with serving(environment) as server:
        for _ in range(100):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(server.socket))
                connection.sendall(request)
                first = connection.recv(1 << 20)
                assert first.startswith(b"HTTP/1.1 ")
                assert first.rstrip(b"\n").endswith(end.rstrip(b"\n")), "something of it came later"
                assert connection.recv(1 << 20) == b""
        server.stop()


def test_it_stops_while_a_worker_is_still_being_started(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # sentinels that take connections and say nothing
        sentinels = ",".join([f"127.0.0.1:{silent.getsockname()[1]}"] * 3)
        slow = environment | {"LUCKYGAS_REDIS_URL": f"redis+sentinel://luckygas@{sentinels}/luckygas"}
        with serving(slow) as server:
            assert any("Booting worker" in line for line in server.process.stdout)
            output = server.stop(seconds=20)  # less than what a worker gets that has to be killed
    assert server.process.returncode == 0, output


def test_all_that_it_prints_is_json(stopped: tuple) -> None:
    _, _, lines = stopped
    assert {line["logger"] for line in lines} == {"gunicorn.error"}
    assert {line["instance"] for line in lines} == {"a"}
    assert not [line for line in lines if line["level"] not in {"INFO", "DEBUG"}]


def test_a_wrong_configuration_ends_the_start_with_all_problems(environment: dict[str, str]) -> None:
    wrong = environment | {"LUCKYGAS_REDIS_URL": "nowhere", "LUCKYGAS_WEB_THREADS": "0"}
    done = subprocess.run(COMMAND, env=wrong, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "luckygas cannot start:",
        "LUCKYGAS_REDIS_URL='nowhere': write it as redis+sentinel://USER@127.0.0.1:26379,127.0.0.1:26380/NAME",
        "LUCKYGAS_WEB_THREADS='0': write a whole number from 1 to 32",
    ]
