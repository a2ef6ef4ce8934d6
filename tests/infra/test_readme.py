"""The README tells of every setting, and of nothing that is not there."""

import re
from pathlib import Path

import pytest

from infra.stack.plan import StackSettings
from services.api.settings import ApiSettings
from services.dialer.settings import DialerSettings
from services.engine.settings import EngineSettings
from services.notifier.settings import NotifierSettings
from services.runtime.clock import OFFSET_VARIABLE
from services.runtime.fail_points import VARIABLE
from services.simulator.network import Network

README = Path("README.md").read_text()
FOR_TESTS = {VARIABLE, OFFSET_VARIABLE}
TIME_SCALE = "SIMULATOR_TIME_SCALE"
"""The one of the simulator's settings that the README tells by itself, since `make run` has a default of its own."""


def test_every_setting_stands_in_the_readme_and_every_one_there_exists() -> None:
    kinds = (StackSettings, ApiSettings, DialerSettings, EngineSettings, NotifierSettings)
    known = {name.upper() for kind in kinds for name in kind.model_fields}
    table = README.split("### Settings")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", " ".join(first_cells)))
    assert named == known | FOR_TESTS | {TIME_SCALE}


def test_both_defaults_of_the_simulated_time_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TIME_SCALE, raising=False)
    alone, under_make_run = Network.model_fields["time_scale"].default, StackSettings().phone_network()[TIME_SCALE]
    assert f"| `{TIME_SCALE}` | {alone}; {under_make_run} under `make run` |" in README


def test_every_file_that_the_readme_names_exists() -> None:
    for path in re.findall(r"`((?:events|projections|services|infra|tests)/[\w/.]+)`", README):
        assert Path(path).exists(), path
