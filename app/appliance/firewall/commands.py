"""`luckygas firewall`: rules come into force on trial."""

import argparse
from collections.abc import Mapping

from appliance.firewall import rules
from appliance.firewall.rules import Settings
from appliance.output import RefusedError
from appliance.trial import session, subject


class Firewall(subject.Subject):
    """The rules of the perimeter."""

    name = "firewall"
    text = "show whether the rules are in force; apply: put those of the playbook in force on trial; confirm; revert"
    wanted = rules.WANTED
    confirmed = rules.CONFIRMED
    load = rules.LOAD
    remove = rules.REMOVE

    def check(self) -> None:
        """Refuse rules that are not there."""
        Settings.load(self.wanted)

    def is_in_force(self) -> bool:
        """Tell whether the kernel has the confirmed rules."""
        return rules.is_in_force()

    def keep(self) -> None:
        """Remember how the kernel lists them."""
        rules.keep_listing()

    def admits_this_session(self) -> None:
        """Refuse when the rules would not let the session in again."""
        settings = Settings.load()
        address, port = session.connection() or (None, settings.ssh_port)
        if port != settings.ssh_port:
            raise RefusedError(
                f"the rules let SSH in on port {settings.ssh_port}; this session came in on {port} and could not come "
                f"again. Write ansible_port: {port} under the host in inventory/hosts.yml, and run the playbook again"
            )
        if not settings.admits(address):
            raise RefusedError(
                f"the rules let SSH in from {', '.join(settings.ssh_networks)}; this session came from "
                f"{address or 'somewhere unknown'} and could not come again. Confirm in a new connection, or correct "
                "site_admin_networks"
            )

    def facts(self) -> Mapping[str, object]:
        """Return what is let in, for programs."""
        settings = Settings.load()
        return {"ssh": settings.ssh, "ssh_port": settings.ssh_port, "ssh_networks": settings.ssh_networks}

    def words(self) -> str:
        """Return what is let in, for people."""
        settings = Settings.load()
        return f"SSH on port {settings.ssh_port}: {settings.ssh}, from {', '.join(settings.ssh_networks)}"


def add(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the command line."""
    subject.add(verbs, Firewall())
