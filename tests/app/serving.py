"""A stand-in on a port of the loopback: what every server has in common that a test plays."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import make_server


@contextmanager
def served(app: Flask, hold: threading.Event) -> Iterator[str]:
    """Serve `app` on a free port, and yield its URL; `hold` lets those answers go on at the end that wait for it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    # It looks that often whether it is to end.
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    hold.set()
    server.shutdown()
    thread.join()
    server.server_close()
