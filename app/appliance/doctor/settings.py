"""What the program was told about this machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FILE = Path("/etc/luckygas/doctor.json")


@dataclass(frozen=True)
class Settings:
    """What is meant to be so, where the machine itself does not tell."""

    timezone: str
    names: tuple[str, ...]  # under which the service is reached
    public_ports: tuple[int, ...]  # on which others may reach this machine
    owns_kernel: bool  # a container does not: its clock and kernel are its host's
    ignored: tuple[str, ...]  # checks that the operator does not want to hear of

    @classmethod
    def load(cls, file: Path = FILE) -> Self:
        """Read the file that Ansible (role appliance) writes."""
        told = json.loads(file.read_text())
        return cls(
            timezone=told["timezone"],
            names=tuple(told["names"]),
            public_ports=tuple(told["public_ports"]),
            owns_kernel=told["owns_kernel"],
            ignored=tuple(told["ignored"]),
        )
