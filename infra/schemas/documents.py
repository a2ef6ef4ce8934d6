"""Owns the files of this folder: which there are, what each holds, and how they are written."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from events.schemas import campaign_state_schema, command_schemas, event_schemas, webhook_state_schemas
from infra.schemas.asyncapi import asyncapi

STATE_FILE = "campaign-state.json"
_ROOT = Path(__file__).parents[2]
_API_DOCUMENT = (sys.executable, "-m", "services.api", "openapi")


def documents() -> dict[str, str]:
    """The text of each file by its path within the folder; raises `CalledProcessError` where the API can not tell its own."""
    files = {f"commands/{name}.json": schema for name, schema in command_schemas().items()}
    files |= {f"events/{name}.json": schema for name, schema in event_schemas().items()}
    webhook_files = {name: f"webhook-state/{name}.json" for name in webhook_state_schemas()}
    files |= {webhook_files[name]: schema for name, schema in webhook_state_schemas().items()}
    files |= {STATE_FILE: campaign_state_schema(), "asyncapi.json": asyncapi(STATE_FILE, webhook_files), "openapi.json": _openapi()}
    return {name: text_of(document) for name, document in files.items()}


def text_of(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def checked_in(folder: Path) -> dict[str, str]:
    """The files that are there, by their path within the folder."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.json")}


def write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write what changed and remove what is no longer made; the paths of both, sorted."""
    there = checked_in(folder)
    for name in there.keys() - files.keys():
        (folder / name).unlink()
    changed = [name for name, text in files.items() if there.get(name) != text]
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name])
    return sorted([*changed, *(there.keys() - files.keys())])


def _openapi() -> Any:
    """Asked of the API's own process, since nothing outside a service imports it."""
    return json.loads(subprocess.run(_API_DOCUMENT, cwd=_ROOT, check=True, capture_output=True, text=True).stdout)
