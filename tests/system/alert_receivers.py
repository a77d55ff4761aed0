"""Receivers of alerts, in the network of the machine: what arrives is kept, a line of JSON each.

python alert_receivers.py web PORT FILE DIRECTORY     webhook, Slack's, heartbeat: whatever is posted, by its path
python alert_receivers.py mail PORT FILE DIRECTORY    mail, after STARTTLS and for who has the password in DIRECTORY
"""

import asyncio
import json
import ssl
import sys
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

revoked: set[str] = set()
"""Where nobody is any more, as Slack says of a webhook that was taken back. PUT /NAME/off and /NAME/on set it."""


def keep(file: Path, by: str, text: str) -> None:
    """Note what arrived, and when."""
    with file.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps({"at": time.time(), "by": by, "text": text}) + "\n")


class Web(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self) -> None:
        """Keep the body under the path."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        name = self.path.strip("/")
        if name not in revoked:
            keep(Path(sys.argv[3]), name, body)
        self.answer(404 if name in revoked else 200)

    def do_PUT(self) -> None:
        """Have a path answer otherwise."""
        name, what = self.path.strip("/").split("/")
        (revoked.add if what == "off" else revoked.discard)(name)
        self.answer(200)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Mail:
    """Keeps what is sent."""

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd
        """Keep subject, sender, recipients and text."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        text = mail.get_body(("html", "plain")).get_content()
        about = {"subject": mail["Subject"], "from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text}
        keep(Path(sys.argv[3]), "mail", json.dumps(about))
        return "250 kept"


def serve_mail(port: int, directory: Path) -> None:
    """Take mail until killed."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    secret = (directory / "password").read_bytes()
    Controller(
        Mail(),
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=True,
        auth_required=True,
        auth_exclude_mechanism=["LOGIN"],  # of which Alertmanager and aiosmtpd each have an opinion of their own
        authenticator=lambda *asked: AuthResult(success=asked[4].password == secret, handled=False),
    ).start()
    asyncio.new_event_loop().run_forever()


if __name__ == "__main__":
    if sys.argv[1] == "web":
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Web).serve_forever()
    serve_mail(int(sys.argv[2]), Path(sys.argv[4]))
