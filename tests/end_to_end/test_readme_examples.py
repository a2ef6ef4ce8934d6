"""The README's examples run as pasted, against real processes; only where the stack listens is told to them."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.sdk_node.node import HERE, run_node
from tests.support.stack import RunningStack

_USE = Path("README.md").read_text().split("## Use it")[1].split("## What we promise, and how we know")[0]
_BLOCKS = re.findall(r"```(\w+)\n(.*?)```", _USE, re.DOTALL)
PYTHON = [code for language, code in _BLOCKS if language == "python"]
NODE = [code for language, code in _BLOCKS if language == "js"]
SHELL = [code for language, code in _BLOCKS if language == "sh" and "curl" in code]


@pytest.fixture
async def environment(shared_stack: RunningStack) -> dict[str, str]:
    """What the README's first block exports."""
    return {"RINGFOLD_URL": shared_stack.api_url, "RINGFOLD_KEY": await shared_stack.create_key("demo")}


async def _run(*command: str, directory: Path, environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.parametrize("number", range(len(PYTHON)))
async def test_the_python_examples_run_to_the_end_of_their_campaign(
    number: int, shared_stack: RunningStack, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = shared_stack.settings
    code = PYTHON[number].replace("127.0.0.1:9092", settings.kafka_bootstrap_servers)
    for topic in ("campaign-commands", "campaign-events"):
        code = code.replace(f'"{topic}"', f'"{settings.topic_prefix}{topic}"')
    script = tmp_path / "example.py"
    script.write_text(code)
    assert "campaign.ended.success" in await _run(sys.executable, str(script), directory=tmp_path, environment=environment)


@pytest.mark.parametrize("number", range(len(NODE)))
async def test_the_node_examples_run_to_the_end_of_their_campaign(number: int, environment: dict[str, str]) -> None:
    script = HERE / f"readme-example-{number}.mjs"
    script.write_text(NODE[number])
    try:
        assert "campaign.ended.success" in await run_node(script, **environment)
    finally:
        script.unlink()


@pytest.mark.parametrize("number", range(len(SHELL)))
async def test_the_curl_examples_are_answered_without_an_error(number: int, environment: dict[str, str], tmp_path: Path) -> None:
    code = re.sub(r"\bcurl -s\b", "curl -sS --fail-with-body", SHELL[number])
    # calls take no time here: the campaign would be over before more contacts are added
    code = code.replace('"phoneNumberId": "pn-1"}', '"phoneNumberId": "pn-1", "schedulePlan": {"earliestAt": "2035-01-01T00:00:00Z"}}')
    printed = await _run("bash", "-euo", "pipefail", "-c", code, directory=tmp_path, environment=environment)
    assert "statusCode" not in printed
    assert "webhooksReplayed" in printed if "/webhooks/" in code else "+1415555" in printed


def test_every_way_in_has_an_example() -> None:
    assert len(PYTHON) >= 2
    assert NODE
    assert any("text/csv" in code for code in SHELL)
