"""The sets of the kernel in which the blocked are; the rules that drop them are those of the firewall."""

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from appliance.block.request import PREFIX, Request
from appliance.output import FailedError

TABLE = "inet luckygas_blocks"


@dataclass(frozen=True)
class Blocked:
    """Who is blocked, and for how much longer."""

    network: str
    seconds: int


class Kernel:
    """nftables, by its library: no program has to be started, and none may be by the service."""

    def __init__(self) -> None:
        """Load the library, which only a machine has."""
        import nftables  # noqa: PLC0415

        self.nft = nftables.Nftables()

    def run(self, command: str) -> str:
        """Run commands as one transaction."""
        code, out, problem = self.nft.cmd(command)
        if code:
            raise FailedError(
                f"the kernel does not do it: {' '.join(problem.split())}; is the firewall there? luckygas firewall"
            )
        return out

    def apply(self, requests: Iterable[Request]) -> None:
        """Do what was asked, all of it or nothing."""
        if commands := [command for request in requests for command in words(request)]:
            self.run("\n".join(commands))

    def blocked(self) -> list[Blocked]:
        """Return who is blocked, those for longest first."""
        self.nft.set_json_output(True)
        told = json.loads(self.run(f"list table {TABLE}"))
        self.nft.set_json_output(False)
        found = [row for entry in told["nftables"] for row in rows(entry.get("set", {}))]
        return sorted(found, key=lambda one: -one.seconds)


def words(request: Request) -> list[str]:
    """Return the commands for one request. Kernels before 6.12 keep the old time of whoever is blocked already."""
    element = f"element {TABLE} block{request.network.version}"
    who = f"{{ {request.network.network_address} }}"
    lift = [f"add {element} {who}", f"delete {element} {who}"]
    until = f"{{ {request.network.network_address} timeout {request.seconds}s }}"
    return [*lift, f"add {element} {until}"] if request.seconds else lift


def rows(found: dict[str, Any]) -> list[Blocked]:
    """Return those in a set, as the kernel lists it."""
    elements = [one["elem"] for one in found.get("elem", [])]
    return [Blocked(written(one["val"]), one.get("expires", 0)) for one in elements]


def written(address: str) -> str:
    """Return whom an element of a set stands for."""
    version = ipaddress.ip_address(address).version
    return address if version == 4 else f"{address}/{PREFIX[version]}"  # noqa: PLR2004
