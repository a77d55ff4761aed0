"""`luckygas ssh`: how one logs in comes into force on trial."""

import argparse
from collections.abc import Mapping

from appliance.output import RefusedError
from appliance.ssh import keys, settings
from appliance.trial import session, subject


class Ssh(subject.Subject):
    """The settings of sshd."""

    name = "ssh"
    text = "show who may log in, and how; apply: put the playbook's settings in force on trial; confirm; revert"
    wanted = settings.WANTED
    confirmed = settings.CONFIRMED
    load = settings.RELOAD
    remove = settings.RELOAD

    def check(self) -> None:
        """Refuse settings by which nobody could log in."""
        if not self.wanted.exists():
            raise RefusedError("there are no settings for SSH on this machine yet; run the playbook")
        if not self.passwords(self.wanted.read_text()) and not keys.who():
            raise RefusedError(
                "nobody has a key here, so nobody could log in without a password. Put yours into "
                "~/.ssh/authorized_keys, or run the playbook, which leaves passwords on until somebody has one"
            )

    @staticmethod
    def passwords(text: str) -> bool:
        """Tell whether settings accept passwords."""
        return settings.asked(text).get("passwordauthentication", "yes") != "no"

    def is_in_force(self) -> bool:
        """Tell whether sshd serves by the confirmed settings, which no other file overrules."""
        return self.confirmed.exists() and not settings.differs(self.confirmed.read_text(), settings.effective())

    def admits_this_session(self) -> None:
        """Refuse when whoever is logged in here has no key and passwords are to end."""
        account = session.account()
        if account and not self.passwords(self.wanted.read_text()) and account not in keys.who():
            raise RefusedError(
                f"{account}, who is logged in here, has no key and could not come again. Put one into "
                f"~{account}/.ssh/authorized_keys"
            )

    def facts(self) -> Mapping[str, object]:
        """Return who may log in, for programs."""
        told = settings.effective()
        return {"passwords": told.get("passwordauthentication") == "yes", "keys": keys.who()}

    def words(self) -> str:
        """Return who may log in, for people."""
        return f"by a key: {', '.join(keys.who()) or 'nobody'}"

    def warning(self) -> str:
        """Say that passwords are accepted."""
        if not self.facts()["passwords"]:
            return ""
        return (
            "passwords are accepted, since nobody has a key here: put yours into ~/.ssh/authorized_keys, "
            "then run the playbook"
            if not keys.who()
            else "passwords are accepted, though there are keys: run the playbook"
        )


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    subject.add(verbs, Ssh())
