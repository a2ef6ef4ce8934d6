"""Owns the audit of what we depend on: `python -m infra.audit` asks an advisory source about every version in the lock."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent / "requirements.lock"
_SECONDS = 60.0


def verdict(output: str) -> tuple[int, list[str]]:
    """The exit code and what to say of pip-audit's JSON: 1 where a known vulnerability has a fix, 0 where nothing could be asked."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, LookupError, TypeError):
        dependencies = []
    audited = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if not audited:
        return 0, ["no advisory source answers here: nothing was audited"]
    found = [(dependency, advisory) for dependency in audited for advisory in dependency["vulns"]]
    lines = [f"{dependency['name']} {dependency['version']}: {_said(advisory)}" for dependency, advisory in found]
    fixable = any(advisory["fix_versions"] for _, advisory in found)
    return int(fixable), [*lines, f"{len(audited)} of {len(dependencies)} dependencies audited, {len(found)} known vulnerabilities"]


def _said(advisory: dict[str, Any]) -> str:
    return f"{advisory['id']}, fixed in {', '.join(advisory['fix_versions']) or 'no version yet'}"


def _ask(command: Sequence[str]) -> str:
    """What pip-audit writes; empty where it does not end in time."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS).stdout
    except subprocess.TimeoutExpired:
        return ""


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off", "-f", "json", "-r", str(LOCK)]
    code, lines = verdict(_ask(command))
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
