"""Runs in the machine: writes to Redis through the sentinels until told to stop, and notes what became of every write.

    python redis_load.py LOG PERIOD          password as the service has it; ends when LOG.stop appears

A line for each write: began, ended (seconds since the epoch), key, port of the master or 0, error.
"""

import sys
import time
from pathlib import Path

from redis import RedisError

from luckygas import redis_client

PASSWORD = Path("/etc/luckygas/credentials/redis_password")
URL = "redis+sentinel://luckygas_app@127.0.0.1:26379,127.0.0.1:26380,127.0.0.1:26381/luckygas"


def main() -> None:
    """Entry point: every write on the service's own client; every tenth one on a connection that is new."""
    path, period = Path(sys.argv[1]), float(sys.argv[2])
    stop, number = path.with_suffix(".stop"), 0
    client = redis_client.create(URL, PASSWORD.read_text())
    with path.open("w", buffering=1) as log:
        while not stop.exists():
            number += 1
            if number % 10 == 0:
                client.close()
                client = redis_client.create(URL, PASSWORD.read_text())
            began, key, port, error = time.time(), f"lg:load:{path.stem}:{number}", 0, ""
            try:
                client.set(key, number)
                port = client.connection_pool.proxy.master_address[1]
            except RedisError as problem:
                error = f"{type(problem).__name__} {' '.join(str(problem).split())}"
            ended = time.time()
            log.write(f"{began:.4f}\t{ended:.4f}\t{key}\t{port}\t{error}\n")
            time.sleep(max(0.0, period - (ended - began)))


main()
