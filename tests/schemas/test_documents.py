"""The documents that are checked in are current, sound, and true of every frozen sample."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from events.commands import COMMANDS
from events.facts import FACTS
from events.schemas import command_schemas, event_schemas, webhook_state_schemas
from events.topics import ALL
from events.webhooks import WEBHOOK_COMMAND_TYPES
from infra.schemas.documents import checked_in, documents, write

FOLDER = Path(__file__).parents[2] / "infra/schemas"
SAMPLES = Path(__file__).parents[1] / "events/samples"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return documents()


def test_the_documents_that_are_checked_in_are_current(made: dict[str, str]) -> None:
    there = checked_in(FOLDER)
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    assert stale == [], "run `make schemas`, and look at what changed"


def test_writing_touches_what_changed_alone(tmp_path: Path) -> None:
    assert write(tmp_path, {"a/b.json": "1\n", "c.json": "2\n"}) == ["a/b.json", "c.json"]
    assert write(tmp_path, {"a/b.json": "1\n", "c.json": "3\n"}) == ["c.json"]
    assert write(tmp_path, {"c.json": "3\n"}) == ["a/b.json"]
    assert checked_in(tmp_path) == {"c.json": "3\n"}


def test_every_schema_is_sound(made: dict[str, str]) -> None:
    for name, text in made.items():
        if name not in ("asyncapi.json", "openapi.json"):
            Draft202012Validator.check_schema(json.loads(text))


def test_every_reference_leads_somewhere(made: dict[str, str]) -> None:
    for name, text in made.items():
        document = json.loads(text)
        for reference in references(document):
            if reference.startswith("./"):
                assert reference.removeprefix("./") in made
                continue
            target = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]
            assert target, f"{name}: {reference}"


@pytest.mark.parametrize("type_name", sorted({*COMMANDS, *WEBHOOK_COMMAND_TYPES, *FACTS}))
def test_a_frozen_sample_is_what_its_schema_says(type_name: str) -> None:
    schema = (command_schemas() | event_schemas())[type_name]
    sample = json.loads((SAMPLES / f"{type_name}.json").read_text())
    Draft202012Validator(schema).validate(sample)


@pytest.mark.parametrize("type_name", sorted({*COMMANDS, *WEBHOOK_COMMAND_TYPES, *FACTS}))
def test_a_record_of_another_type_is_not_what_a_schema_says(type_name: str) -> None:
    schema = (command_schemas() | event_schemas())[type_name]
    sample = json.loads((SAMPLES / f"{type_name}.json").read_text())
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(sample | {"type": "Other.v1"})


@pytest.mark.parametrize("name", sorted(webhook_state_schemas()))
def test_a_frozen_state_of_a_webhook_is_what_its_schema_says(name: str) -> None:
    sample = json.loads((SAMPLES / f"webhook-state/{name}.json").read_text())
    for other, schema in webhook_state_schemas().items():
        assert Draft202012Validator(schema).is_valid(sample) == (other == name)


def test_a_command_with_an_unknown_field_is_refused_and_an_event_with_one_is_not() -> None:
    command = json.loads((SAMPLES / "StopCampaign.v1.json").read_text())
    event = json.loads((SAMPLES / "CallEnded.v1.json").read_text())
    for record in (command, event):
        record["data"]["addedLater"] = 1
    assert not Draft202012Validator(command_schemas()["StopCampaign.v1"]).is_valid(command)
    assert Draft202012Validator(event_schemas()["CallEnded.v1"]).is_valid(event)


def test_bounds_on_numbers_are_told_in_json_schemas_words() -> None:
    for schema in (*command_schemas().values(), *event_schemas().values()):
        assert not re.search(r'"(ge|le|gt|lt)":', json.dumps(schema))


def test_asyncapi_tells_of_every_topic_and_every_type() -> None:
    document = read("asyncapi.json")
    assert document["channels"].keys() == {topic.name for topic in ALL}
    assert {operation["channel"]["$ref"] for operation in document["operations"].values()} == {f"#/channels/{topic.name}" for topic in ALL}
    carried = {name for channel in document["channels"].values() for name in channel["messages"]}
    assert carried == document["components"]["messages"].keys() >= {*COMMANDS, *WEBHOOK_COMMAND_TYPES, *FACTS}
