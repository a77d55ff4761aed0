"""Text messages, by the form that Taiwan's senders share: a form in, a list of NAME=VALUE out."""

from typing import Final

from luckygas.clients.http import Away, Partner, Refused

_ON_ITS_WAY: Final = frozenset("0124")
_WRONG_NUMBER: Final = "v"


class Sms(Partner):
    """Who sends text messages."""

    def text(self, *, to: str, text: str, reference: str) -> str:
        """Send a text and return the sender's id of it; the same reference is never sent twice."""
        account = self.account
        form = {
            "username": account.user,
            "password": account.secret,
            "dstaddr": to,
            "smbody": text,
            "clientid": reference,
            "CharsetURL": "UTF-8",
        }
        # The status is read inside, since an error that comes with HTTP 200 is a failure like any other.
        return self.send("POST", "/SmSend", read=_message_id, repeat=True, data=form)


def _message_id(answer: str) -> str:
    found = dict(line.strip().split("=", 1) for line in answer.splitlines() if "=" in line)
    status = found.get("statuscode", "")
    if status == _WRONG_NUMBER:
        raise Refused("sms knows no such number")
    if status not in _ON_ITS_WAY or not status or not found.get("msgid"):
        raise Away(f"sms answered with the status {status!r}")
    return found["msgid"]
