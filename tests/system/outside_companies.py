"""Run inside of the machine: the outside companies on one port, told by requests how to behave, and a collector.

python outside_companies.py PORT     beside it stand partners.py, receiver.py, serving.py and the companies' secrets
"""

import itertools
import sys
import time
from pathlib import Path

from flask import jsonify, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

import partners
import receiver

SECRETS = [path.read_text(encoding="utf-8").strip() for path in Path(__file__).parent.glob("*_secret")]
is_signed = partners.is_signed
# Each company has a secret of its own; whose it is does not matter here.
partners.is_signed = lambda _, *args, **kwargs: any(is_signed(secret, *args, **kwargs) for secret in SECRETS)

companies = partners.Partners()
# Eight digits that an earlier run has not given out.
companies.numbers = itertools.count(10_000_000 + int(time.time() * 10) % 80_000_000)
app = companies.app()


@app.put("/told")
def tell():
    """Set what is given: `mode`, `settlements`."""
    for name, value in request.json.items():
        setattr(companies, name, value)
    return {}


@app.get("/told")
def told():
    """Return what they did."""
    return jsonify(invoices=companies.invoices, void=companies.void)


both = DispatcherMiddleware(app, {"/collector": receiver.Receiver().app()})
make_server("127.0.0.1", int(sys.argv[1]), both, threaded=True).serve_forever()
