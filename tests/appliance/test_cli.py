"""The `luckygas` command as a whole: which verbs there are, and that one loads nothing of the others."""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import cli
from appliance.cli import VERBS


@pytest.mark.parametrize("module", dict.fromkeys(VERBS.values()))
def test_a_module_adds_the_verbs_that_it_is_loaded_for(module: str) -> None:
    verbs = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"appliance.{module}").add(verbs)
    assert set(verbs.choices) == {verb for verb, name in VERBS.items() if name == module}


def test_a_verb_loads_nothing_of_the_others() -> None:
    code = "import sys; from appliance.cli import main\ntry: main(['trial', '--help'])\nfinally: print(*sys.modules)"
    root = Path(cli.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = [name for name in done.stdout.split() if name.startswith("appliance.") and name.endswith(".commands")]
    assert loaded == ["appliance.trial.commands"]
