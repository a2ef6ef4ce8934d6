"""Owns the JSON Schemas (2020-12) of what stands on the topics, built from the models that validate it."""

from typing import Any, cast

from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from events.campaign_state import CampaignState
from events.commands import COMMANDS, CommandData
from events.envelope import ENGINE_SOURCE, Envelope
from events.facts import FACTS, Fact
from events.webhooks import WEBHOOK_COMMAND_TYPES, DeadWebhook, WebhookReplay
from events.wire import Wire

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_KEYWORDS = {"ge": "minimum", "le": "maximum"}
_UUID = {"type": "string", "format": "uuid"}
_OF_NO_CAMPAIGN = frozenset({"CommandRejected.v1", "CommandHadNoEffect.v1"})


class _PlainSchema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Bounds on a number that is read by a function come out under pydantic's own names."""
        return {_KEYWORDS.get(name, name): value for name, value in super().generate_inner(schema).items()}


class WrittenSchema(_PlainSchema):
    """The schema of what Ringfold writes: never null, fields with a default value always there, open to later fields."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_is_required(
        self, field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField, total: bool
    ) -> bool:
        inner = cast(dict[str, Any], field["schema"])
        return inner["type"] != "default" or inner.get("default") is not None

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {name: value for name, value in super().model_schema(schema).items() if name != "additionalProperties"}


class TakenSchema(_PlainSchema):
    """The schema of what Ringfold takes: an explicit null counts as absent, unknown fields are refused."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        return {name: value for name, value in result.items() if name != "default" or value is not None}


def taken(model: type[Wire], reference: str = DEFAULT_REF_TEMPLATE) -> dict[str, Any]:
    """The schema of what Ringfold takes, its parts under `$defs`; `reference` is how they are referred to, with `{model}` for the name."""
    return model.model_json_schema(mode="validation", schema_generator=TakenSchema, ref_template=reference)


def written(model: type[Wire], reference: str = DEFAULT_REF_TEMPLATE) -> dict[str, Any]:
    """The schema of what Ringfold writes; as `taken` otherwise."""
    return model.model_json_schema(mode="serialization", schema_generator=WrittenSchema, ref_template=reference)


def command_schemas() -> dict[str, dict[str, Any]]:
    """By type, what a record of a commands topic must be; rules that bind several fields are told by the descriptions alone."""
    return {name: _command_schema(model) for name, model in (COMMANDS | WEBHOOK_COMMAND_TYPES).items()}


def event_schemas() -> dict[str, dict[str, Any]]:
    """By type, what a record of the events topic is."""
    return {name: _event_schema(model) for name, model in FACTS.items()}


def campaign_state_schema() -> dict[str, Any]:
    """What a record of `campaign-state` is, unless it is a tombstone."""
    return {"$schema": DIALECT, **written(CampaignState)}


def webhook_state_schemas() -> dict[str, dict[str, Any]]:
    """By name, what a record of `webhook-state` may be, unless it is a tombstone."""
    return {model.__name__: {"$schema": DIALECT, **written(model)} for model in (DeadWebhook, WebhookReplay)}


def _command_schema(model: type[CommandData]) -> dict[str, Any]:
    attributes = taken(Envelope)["properties"]
    required = ["specversion", "id", "source", "type", "orgid"]
    properties = {name: attributes[name] for name in required}
    properties["type"] = {"const": model.type_name}
    if model.without_subject is not None:
        properties["subject"] = {"type": "null", "description": f"Absent: {model.without_subject}"}
    else:
        properties["subject"] = {**_UUID, "description": "The campaign's id"}
        required.append("subject")
    if not model.from_user:
        properties["callid"] = {**_UUID, "description": "The call's id"}
        required.append("callid")
    data = taken(model)
    if data.get("required"):
        required.append("data")
    return _record(model, properties, required, data)


def _event_schema(model: type[Fact]) -> dict[str, Any]:
    attributes = written(Envelope)["properties"]
    required = ["specversion", "id", "source", "type", "time", "orgid"]
    properties = {name: attributes[name] for name in (*required, "causationid")}
    properties |= {"type": {"const": model.type_name}, "source": {"const": ENGINE_SOURCE}}
    properties["subject"] = {**_UUID, "description": "The campaign's id"}
    properties["callid"] = {**_UUID, "description": "The call's id"}
    if model.type_name not in _OF_NO_CAMPAIGN:
        required.append("subject")
    return _record(model, properties, [*required, "data"], written(model))


def _record(model: type[CommandData] | type[Fact], properties: dict[str, Any], required: list[str], data: dict[str, Any]) -> dict[str, Any]:
    """The envelope, open as CloudEvents asks, around the `data`, whose parts move up to where their references look for them."""
    definitions = data.pop("$defs", None)
    schema = {
        "$schema": DIALECT,
        "title": model.type_name,
        "description": data.pop("description", ""),
        "type": "object",
        "properties": properties | {"data": data},
        "required": required,
    }
    return schema | ({"$defs": definitions} if definitions else {})
