"""What any Flask service costs: one view that answers what it always answers."""

import json

from flask import Flask, Response

app = Flask(__name__)
BODY = json.dumps({"items": [], "next_cursor": None})


@app.get("/<path:_>")
def view(_: str) -> Response:
    """Answer as the service does that has nothing to tell."""
    return Response(BODY, mimetype="application/json")
