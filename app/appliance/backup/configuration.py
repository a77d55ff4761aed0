"""What a new machine needs beside its data: the operator's answers, the secrets, the version, and what is in /etc."""

from pathlib import Path

from appliance.backup.places import ANSWERS
from appliance.backup.sealed import CONFIGURATION, seal, sealing, unseal

ETC = Path("/etc")
VERSION = Path("/var/lib/luckygas/version")  # of the appliance, that a new machine is to have, too


def take(now: float) -> None:
    """Seal it, and read it back."""
    there = [place for place in (ETC, ANSWERS, VERSION) if place.exists()]
    places = [word for place in there for word in (f"--directory={place.parent}", place.name)]
    with sealing(CONFIGURATION, CONFIGURATION, now) as one:
        seal(one.file, ["tar", "--create", "--gzip", *places])
        unseal(one.file, ["tar", "--list", "--gzip"])
