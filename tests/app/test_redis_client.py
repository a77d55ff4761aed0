"""Against a real Redis and a real Sentinel, which the test starts beside it."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import ConnectionError as NoConnectionError
from redis import Redis
from redis.sentinel import MasterNotFoundError

from luckygas import redis_client
from waiting import eventually

PASSWORD = "through-the-sentinel"  # noqa: S105
USER = f"user default off\nuser luckygas_app on >{PASSWORD} ~* &* +@all\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a Redis or a Sentinel, and end it with the test."""
    started: list[subprocess.Popen] = []
    (tmp_path / "users.acl").write_text(USER)

    def start(port: int, *lines: str, sentinel: bool = False) -> subprocess.Popen:
        file = tmp_path / f"{port}.conf"
        file.write_text("\n".join([f"port {port}", f"aclfile {tmp_path}/users.acl", f"dir {tmp_path}", *lines]))
        program = shutil.which("redis-server")
        mode = ["--sentinel"] if sentinel else []
        started.append(subprocess.Popen([program, file, *mode], stdout=subprocess.DEVNULL))  # noqa: S603
        eventually(lambda: answers(port), "an answer of the server", seconds=30)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Tell whether a server has come up."""
    with Redis(port=port, username="luckygas_app", password=PASSWORD) as client:
        try:
            return client.ping()
        except NoConnectionError:
            return False


@pytest.fixture
def client(server: Callable[..., subprocess.Popen]) -> Iterator[tuple[Redis, subprocess.Popen, subprocess.Popen]]:
    """Return a client, with the master and the sentinel behind it; of the three sentinels two are not there."""
    master = server(16379)
    watched = ["sentinel monitor luckygas 127.0.0.1 16379 1", "sentinel auth-user luckygas luckygas_app"]
    sentinel = server(16380, *watched, f"sentinel auth-pass luckygas {PASSWORD}", sentinel=True)
    url = "redis+sentinel://luckygas_app@127.0.0.1:16381,127.0.0.1:16380,127.0.0.1:16382/luckygas"
    with redis_client.create(url, PASSWORD) as client:
        yield client, master, sentinel


def test_it_finds_the_master_through_any_sentinel(client: tuple) -> None:
    redis, _, sentinel = client
    assert redis.set("lg:a", 1)
    sentinel.kill()
    assert redis.get("lg:a") == b"1"  # who is known needs no question


def test_a_dead_master_fails_at_once_and_comes_back_by_itself(client: tuple, server: Callable) -> None:
    redis, master, _ = client
    redis.ping()
    master.kill()
    master.wait()
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(NoConnectionError):
            redis.ping()
        assert time.monotonic() - began < 2  # with attempts of its own it would be more
    server(16379)
    assert redis.ping()


def test_without_any_sentinel_it_says_so_at_once(closed_port: int) -> None:
    url = f"redis+sentinel://luckygas_app@127.0.0.1:{closed_port},127.0.0.1:{closed_port}/luckygas"
    began = time.monotonic()
    with redis_client.create(url, PASSWORD) as redis, pytest.raises(MasterNotFoundError):
        redis.ping()
    assert time.monotonic() - began < 2


def test_hanging_sentinels_cost_no_more_than_their_time(silent_port: int) -> None:
    url = f"redis+sentinel://luckygas_app@{','.join([f'127.0.0.1:{silent_port}'] * 3)}/luckygas"
    began = time.monotonic()
    with redis_client.create(url, PASSWORD) as redis, pytest.raises(MasterNotFoundError):
        redis.ping()
    assert time.monotonic() - began < 3 * redis_client.SENTINEL_TIMEOUT_SECONDS + 3
