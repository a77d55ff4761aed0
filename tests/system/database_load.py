"""Runs in the machine: writes through the pool until told to stop, and notes what became of every write.

    python3 database_load.py LOG CLIENTS PERIOD          password as the service has it; ends when there is LOG's .stop

A line for each write: began, ended (seconds since the epoch), id, port of the instance that took it or 0, error.
"""

import itertools
import os
import sys
import threading
import time
from pathlib import Path

import psycopg2

PASSWORD = Path("/etc/luckygas/credentials/database_password")
DSN = "host=/run/postgresql port=6432 dbname=luckygas user=luckygas_app connect_timeout=3"


def connect():
    """Open a connection to the pool; it may be restarting."""
    connection = psycopg2.connect(DSN, password=PASSWORD.read_text().split()[0])
    connection.autocommit = True
    return connection


def write(log, lock, client: int, period: float, stop: Path) -> None:
    """One client: a write in every period, on one connection as long as it lives."""
    connection = None
    for number in itertools.count():
        if stop.exists():
            return
        began, key, port, error = time.time(), f"{os.getpid()}-{client}-{number}", 0, ""
        try:
            connection = connection or connect()
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO chaos (id) VALUES (%s) RETURNING current_setting('port')", (key,))
                port = int(cursor.fetchone()[0])
        except psycopg2.Error as problem:
            error = " ".join(str(problem).split())
            if connection is None or connection.closed:
                connection = None
        ended = time.time()
        with lock:
            log.write(f"{began:.4f}\t{ended:.4f}\t{key}\t{port}\t{error}\n")
        time.sleep(max(0.0, period - (ended - began)) if port else max(period, 0.02))


def main() -> None:
    """Entry point."""
    path, clients, period = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    stop = path.with_suffix(".stop")
    lock = threading.Lock()
    with path.open("w", buffering=1) as log:
        threads = [threading.Thread(target=write, args=(log, lock, client, period, stop)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


main()
