"""The README's configuration of providers is one that starts."""

import json
import re
from pathlib import Path
from typing import Any

from services.runtime.provider_choice import read_provider_choice


def without_references(value: Any) -> Any:
    """The same with a secret in place of each reference to one."""
    if isinstance(value, dict):
        return "secret" if value.keys() in ({"env"}, {"file"}) else {name: without_references(part) for name, part in value.items()}
    return value


def test_the_example_of_providers_is_valid() -> None:
    section = Path("README.md").read_text().split("### Call providers")[1].split("\n### ")[0]
    found = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert found is not None
    choice = read_provider_choice(json.dumps(without_references(json.loads(found[1]))), None)
    choice.known_with("simulator")
    assert choice.name_for("acme", "pn-1", "simulator") == "twilio-us"
