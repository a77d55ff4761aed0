"""The version of the service, and the release that it is a part of: where the API and the logs take both from."""

import sys
from pathlib import Path
from typing import Final

__version__ = "0.1.0"


def release_of(prefix: str) -> str:
    """Return the name of the release whose Python lives at `prefix`, `.../releases/NAME/venv`, else the version."""
    home = Path(prefix).resolve().parent
    return home.name if home.parent.name == "releases" else __version__


RELEASE: Final = release_of(sys.prefix)
