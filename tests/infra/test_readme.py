"""The README tells of every setting, and of nothing that is not there."""

import re
from pathlib import Path

from infra.stack.plan import StackSettings
from services.api.settings import ApiSettings
from services.dialer.settings import DialerSettings
from services.engine.settings import EngineSettings
from services.notifier.settings import NotifierSettings

README = Path("README.md").read_text()


def test_every_setting_stands_in_the_readme_and_every_one_there_exists() -> None:
    kinds = (StackSettings, ApiSettings, DialerSettings, EngineSettings, NotifierSettings)
    known = {name.upper() for kind in kinds for name in kind.model_fields}
    table = README.split("### Settings")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", " ".join(first_cells)))
    assert named == known


def test_every_file_that_the_readme_names_exists() -> None:
    for path in re.findall(r"`((?:events|projections|services|infra|tests)/[\w/.]+)`", README):
        assert Path(path).exists(), path
