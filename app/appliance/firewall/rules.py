"""The rules: those on the disk, which were confirmed, those that the playbook wants, and those in the kernel."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.output import RefusedError
from appliance.system import run, write_file

WANTED = Path("/etc/luckygas/firewall.wanted")
CONFIRMED = Path("/etc/luckygas/firewall.nft")
LISTING = Path("/var/lib/luckygas/firewall.listing")
TABLES = ("luckygas", "luckygas_blocks")
LOAD = ("nft", "-f", str(CONFIRMED))
REMOVE = ("nft", "; ".join(f"add table inet {table}; delete table inet {table}" for table in TABLES))
TIMEOUT_SECONDS = 10
EVERYBODY = ("0.0.0.0/0", "::/0")
# The rules say of themselves, in one line for programs, what they let in.
MARK = "# luckygas: "


@dataclass(frozen=True)
class Settings:
    """What the firewall lets in, as far as somebody has to know who does not read rules."""

    ssh: str
    """public, admin-nets or vpn-only: what is in force, which vpn-only is only once a peer was seen."""
    ssh_port: int
    ssh_networks: tuple[str, ...]
    unblockable: tuple[str, ...]
    """Networks from which nobody is ever blocked."""

    @classmethod
    def load(cls, file: Path = CONFIRMED) -> Self:
        """Read what the rules say of themselves, as Ansible (role nftables) wrote it."""
        if not file.exists():
            raise RefusedError("there is no firewall on this machine yet; run the playbook")
        told = json.loads(next(line for line in file.read_text().splitlines() if line.startswith(MARK))[len(MARK) :])
        return cls(told["ssh"], told["ssh_port"], tuple(told["ssh_networks"]), tuple(told["unblockable"]))

    def admits(self, address: str | None) -> bool:
        """Tell whether a new SSH connection from there is let in; from where nobody knows, only if all are."""
        if self.ssh_networks == EVERYBODY:
            return True
        return address is not None and is_in(address, self.ssh_networks)


def is_in(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address belongs to one of the networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network) for network in networks)


def listing() -> str:
    """Return the rules in the kernel, without what counts or comes and goes."""
    parts = [["table", "inet", "luckygas"], ["chain", "inet", "luckygas_blocks", "prerouting"]]
    return "".join(run(["nft", "--stateless", "list", *part], timeout=TIMEOUT_SECONDS).stdout for part in parts)


def keep_listing(file: Path = LISTING) -> None:
    """Remember what the confirmed rules look like in the kernel."""
    write_file(file, listing(), mode=0o600)


def is_in_force() -> bool:
    """Tell whether the rules in the kernel are those that were confirmed."""
    return CONFIRMED.exists() and LISTING.exists() and LISTING.read_text() == listing() != ""
