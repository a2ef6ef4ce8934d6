"""What schemathesis makes of the served document, request after request: no fault, nothing undocumented, nothing against its schema."""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.support.stack import RunningStack

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ensure_resource_availability",
)
_EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "40")
_SEED = os.environ.get("SCHEMATHESIS_SEED", "1")


async def test_chains_of_generated_requests_are_answered_as_the_document_says(shared_stack: RunningStack, tmp_path: Path) -> None:
    """`SCHEMATHESIS_EXAMPLES` and `SCHEMATHESIS_SEED` make it longer and another."""
    key = await shared_stack.create_key("schemathesis")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{shared_stack.api_url}/openapi.json", "--no-color"),
        *("-H", f"Authorization: Bearer {key}", "--phases", "fuzzing,stateful", "--checks", ",".join(_CHECKS)),
        *("--max-examples", _EXAMPLES, "--seed", _SEED, "--generation-database", "none"),
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.end_to_end.schemathesis_hooks", "PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(170):
        output, _ = await process.communicate()
    report = output.decode()[-6_000:]
    assert process.returncode == 0, report
    passed = re.search(r"(\d+) generated, (\d+) passed", report)
    assert passed is not None, report
    assert int(passed[2]) > 300, report
