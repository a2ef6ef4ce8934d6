"""Owns how a test runs a script on Node.js, beside the official SDK that is installed here."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent


async def run_node(script: Path, **environment: str) -> str:
    """What the script prints; the test fails with what it says on standard error. It must stand in this folder, where the SDK is found."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        pytest.fail("Node.js and the SDK are needed: make tests installs the SDK where Node.js is there")
    process = await asyncio.create_subprocess_exec(
        node, script.name, cwd=HERE, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()
