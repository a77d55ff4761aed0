"""The machine's own program is not installed here: it is tried from the tree."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "app"))
