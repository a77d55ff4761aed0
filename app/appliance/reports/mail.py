"""Mail, by the server and to the one that Alertmanager tells."""

import json
import smtplib
import socket
import ssl
from email.message import EmailMessage
from pathlib import Path

from appliance.alerts.manager import FILE
from appliance.output import RefusedError

PASSWORD = Path("/etc/luckygas/alertmanager/smtp_password")
TLS_PORT = 465
TIMEOUT_SECONDS = 30


def receiver(file: Path = FILE) -> dict[str, str]:
    """Return server, port, user, from and to; empty where nobody is told by mail."""
    return (json.loads(file.read_text()).get("mail") or {}) if file.exists() else {}


def send(to: dict[str, str], subject: str, text: str) -> None:
    """Send a mail. The server's certificate has to be good, as Alertmanager demands, too."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, to["from"], to["to"]
    message.set_content(text)
    trusted = ssl.create_default_context()
    where = {"host": to["server"], "port": int(to["port"]), "timeout": TIMEOUT_SECONDS}
    try:
        with (
            smtplib.SMTP_SSL(**where, context=trusted) if where["port"] == TLS_PORT else smtplib.SMTP(**where) as server
        ):
            if where["port"] != TLS_PORT:
                server.starttls(context=trusted)
            if to["user"]:
                server.login(to["user"], PASSWORD.read_text().strip())
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as problem:
        raise RefusedError(f"{to['server']} did not take the mail: {problem}") from None


def subject(period: str) -> str:
    """Return what the mail is about."""
    return f"Lucky Gas {socket.gethostname()}: what is new in the {period} report"
