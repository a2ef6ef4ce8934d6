"""No change breaks a producer or a consumer of an older version: planted changes are found, and the frozen schemas still hold."""

import copy
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from events.schemas import campaign_state_schema, command_schemas, event_schemas, webhook_state_schemas
from services.api.openapi import openapi
from tests.schemas.compatibility import Kind, breaks
from tests.schemas.operations import broken_operations

FROZEN = Path(__file__).parent / "frozen"
"""By release, the schemas that it was published with; never edited once it is out. A new release adds its own folder."""
RELEASES = sorted(path.name for path in FROZEN.iterdir())

_PART = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}
PLANTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "status": {"type": "string", "enum": ["ended", "cancelled"]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "parts": {"type": "integer", "default": 0},
        "contacts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        "note": {"type": "string"},
        "code": {"type": "string", "pattern": "^a"},
    },
    "required": ["name"],
    "$defs": {"Part": _PART},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The planted schema with the value at the path replaced, or removed where it is `...`."""
    schema = copy.deepcopy(PLANTED)
    *folders, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    target: Any = schema
    for folder in folders:
        target = target[folder]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return schema


def frozen(release: str, folder: str) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (FROZEN / release / folder).glob("*.json")}


BREAKS_EVERYONE = {
    "a removed field": ("properties/note", ...),
    "a retyped field": ("properties/note", {"type": "integer"}),
    "a field that became an object": ("properties/note", {"$ref": "#/$defs/Part"}),
    "another default": ("properties/parts/default", 1),
    "a removed field of a part": ("$defs/Part/properties/number", ...),
    "a retyped field of a part": ("$defs/Part/properties/number/type", "integer"),
    "another pattern": ("properties/code/pattern", "^b"),
    "a keyword that nobody compares": ("not", {"type": "string"}),
}
BREAKS_WHAT_WAS_WRITTEN = {
    "a newly required field": ("required", ["name", "note"]),
    "a narrowed enum": ("properties/status/enum", ["ended"]),
    "an enum where any text was": ("properties/name/enum", ["Spring"]),
    "a shorter text": ("properties/name/maxLength", 39),
    "a new pattern": ("properties/note/pattern", "^a"),
    "a higher bound within an alternative": ("properties/limit/anyOf/0/minimum", 2),
    "an alternative taken away": ("properties/limit/anyOf", [{"type": "null"}]),
    "fields refused that were passed over": ("additionalProperties", False),
}
BREAKS_READERS = {
    "a field no longer always there": ("required", []),
    "a widened enum": ("properties/status/enum", ["ended", "cancelled", "archived"]),
    "an enum that became any text": ("properties/status/enum", ...),
    "a longer text": ("properties/name/maxLength", 41),
    "a lower bound": ("properties/limit/anyOf/0/minimum", 0),
    "a new alternative": ("properties/limit/anyOf", [{"type": "integer", "minimum": 1}, {"type": "null"}, {"type": "string"}]),
}
BREAKS_NOTHING = {
    "a new field that may be absent": ("properties/later", {"type": "string"}),
    "other words": ("description", "Says more."),
}


KINDS: tuple[Kind, ...] = get_args(Kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", BREAKS_EVERYONE.values(), ids=BREAKS_EVERYONE)
def test_a_change_that_breaks_everyone_is_found(change: tuple[str, Any], kind: Kind) -> None:
    assert breaks(PLANTED, changed(*change), kind)


@pytest.mark.parametrize("change", BREAKS_WHAT_WAS_WRITTEN.values(), ids=BREAKS_WHAT_WAS_WRITTEN)
def test_a_change_that_refuses_what_was_written_is_found_on_commands_and_events(change: tuple[str, Any]) -> None:
    assert breaks(PLANTED, changed(*change), "command")
    assert breaks(PLANTED, changed(*change), "event")
    assert breaks(PLANTED, changed(*change), "answer") == []


@pytest.mark.parametrize("change", BREAKS_READERS.values(), ids=BREAKS_READERS)
def test_a_change_that_breaks_readers_is_found_on_events_and_answers(change: tuple[str, Any]) -> None:
    assert breaks(PLANTED, changed(*change), "event")
    assert breaks(PLANTED, changed(*change), "answer")
    assert breaks(PLANTED, changed(*change), "command") == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", BREAKS_NOTHING.values(), ids=BREAKS_NOTHING)
def test_a_change_that_adds_is_fine(change: tuple[str, Any], kind: Kind) -> None:
    assert breaks(PLANTED, changed(*change), kind) == []


def test_a_renamed_field_is_a_removed_one() -> None:
    renamed = changed("properties/note", ...)
    renamed["properties"]["remark"] = {"type": "string"}
    assert breaks(PLANTED, renamed, "command") == [".note is removed"]
    assert breaks(PLANTED, renamed, "event") == [".note is removed"]


@pytest.mark.parametrize("release", RELEASES)
def test_commands_of_every_release_are_still_taken(release: str) -> None:
    new = command_schemas()
    for name, old in frozen(release, "commands").items():
        assert breaks(old, new[name], "command") == [], name


@pytest.mark.parametrize("release", RELEASES)
def test_consumers_of_every_release_still_read_the_events(release: str) -> None:
    new = event_schemas()
    for name, old in frozen(release, "events").items():
        assert breaks(old, new[name], "event") == [], name


@pytest.mark.parametrize("release", RELEASES)
def test_consumers_of_every_release_still_read_the_state_of_a_campaign(release: str) -> None:
    old = json.loads((FROZEN / release / "campaign-state.json").read_text())
    assert breaks(old, campaign_state_schema(), "event") == []


@pytest.mark.parametrize("release", RELEASES)
def test_consumers_of_every_release_still_read_the_state_of_webhooks(release: str) -> None:
    new = webhook_state_schemas()
    for name, old in frozen(release, "webhook-state").items():
        assert breaks(old, new[name], "event") == [], name


@pytest.mark.parametrize("release", RELEASES)
def test_clients_of_every_release_still_work(release: str) -> None:
    old, new = json.loads((FROZEN / release / "openapi.json").read_text()), openapi()
    assert broken_operations(old, new) == []


def test_a_change_that_breaks_clients_is_found() -> None:
    get, post = ("paths", "/campaign", "get"), ("paths", "/campaign", "post")
    for path, value in (
        (("paths", "/call"), ...),
        (get, ...),
        ((*get, "parameters", 0), ...),
        ((*get, "parameters", 0, "required"), True),
        ((*get, "parameters", 1, "schema", "enum"), ["ended"]),
        ((*get, "responses", "200"), ...),
        ((*post, "requestBody", "content", "application/json"), ...),
        (("components", "schemas", "CampaignDraft", "required"), ["name", "assistantId"]),
        (("components", "schemas", "CampaignDraft", "properties", "name"), ...),
        (("components", "schemas", "Campaign", "properties", "calls"), ...),
        (("components", "schemas", "Campaign", "required"), []),
    ):
        new = openapi()
        target: Any = new
        for part in path[:-1]:
            target = target[part]
        if value is ...:
            del target[path[-1]]
        else:
            target[path[-1]] = value
        assert broken_operations(openapi(), new), path


def test_every_type_is_frozen_with_the_newest_release() -> None:
    assert frozen(RELEASES[-1], "commands").keys() == command_schemas().keys()
    assert frozen(RELEASES[-1], "events").keys() == event_schemas().keys()
    assert frozen(RELEASES[-1], "webhook-state").keys() == webhook_state_schemas().keys()
