"""Owns the AsyncAPI 3 document of the topics, which refers to the schema files beside it."""

from collections.abc import Iterable, Mapping
from typing import Any

from events.commands import COMMANDS
from events.facts import FACTS
from events.topics import (
    ALL,
    CALL_COMMANDS,
    CAMPAIGN_COMMANDS,
    CAMPAIGN_COMMANDS_DEAD,
    CAMPAIGN_EVENTS,
    CAMPAIGN_STATE,
    WEBHOOK_COMMANDS,
    WEBHOOK_STATE,
    Topic,
)
from events.webhooks import WEBHOOK_COMMAND_TYPES

_CONTENT_TYPE = "application/cloudevents+json"
_USER_COMMANDS = tuple(name for name, command in COMMANDS.items() if command.from_user)
_CALL_COMMANDS = tuple(name for name, command in COMMANDS.items() if not command.from_user)
_STATE = "CampaignState"
_DEAD = "DeadCommand"


def asyncapi(state_file: str, webhook_files: Mapping[str, str]) -> dict[str, Any]:
    """The document; `state_file` is where the schema of `campaign-state` stands, `webhook_files` those of `webhook-state` by name."""
    carried = {
        CAMPAIGN_COMMANDS.name: _USER_COMMANDS,
        CALL_COMMANDS.name: _CALL_COMMANDS,
        CAMPAIGN_EVENTS.name: tuple(FACTS),
        CAMPAIGN_COMMANDS_DEAD.name: (_DEAD,),
        CAMPAIGN_STATE.name: (_STATE,),
        WEBHOOK_COMMANDS.name: tuple(WEBHOOK_COMMAND_TYPES),
        WEBHOOK_STATE.name: tuple(webhook_files),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ringfold's topics",
            "version": "0.1.0",
            "description": "Commands go in, facts come out, each as a CloudEvent 1.0 in structured JSON. "
            "Every command of a user yields at least one event that names it by `causationid`. "
            "A topic's name may stand behind a prefix that the installation sets. Read with `isolation.level=read_committed`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _CONTENT_TYPE,
        "servers": {"kafka": {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": {"default": "127.0.0.1:9092"}}}},
        "channels": {topic.name: _channel(topic, carried[topic.name]) for topic in ALL},
        "operations": {
            "takeCampaignCommands": _operation("receive", CAMPAIGN_COMMANDS, "Ask for a campaign, or a change of one"),
            "takeCallCommands": _operation("receive", CALL_COMMANDS, "Claims, outcomes and reports of Ringfold's own services"),
            "writeEvents": _operation("send", CAMPAIGN_EVENTS, "What became of it: the facts"),
            "writeDeadCommands": _operation("send", CAMPAIGN_COMMANDS_DEAD, "What could not be read or handled"),
            "writeCampaignState": _operation("send", CAMPAIGN_STATE, "The newest summary of each campaign"),
            "takeWebhookCommands": _operation("receive", WEBHOOK_COMMANDS, "What the API asks the notifier"),
            "writeWebhookState": _operation("send", WEBHOOK_STATE, "The webhooks that are dead, and what came of the commands"),
        },
        "components": {
            "messages": {
                **{name: _message(name, f"./commands/{name}.json", "orgId") for name in COMMANDS | WEBHOOK_COMMAND_TYPES},
                **{name: _message(name, f"./events/{name}.json", "orgId") for name in FACTS},
                _STATE: _message(_STATE, f"./{state_file}", "campaignId") | {"contentType": "application/json"},
                **{
                    name: _message(name, f"./{file}", WEBHOOK_STATE.key) | {"contentType": "application/json"}
                    for name, file in webhook_files.items()
                },
                _DEAD: {
                    "name": _DEAD,
                    "title": _DEAD,
                    "description": "The record as it was read, whatever it holds.",
                    "contentType": "application/octet-stream",
                    "headers": {
                        "type": "object",
                        "properties": {name: {"type": "string"} for name in ("reason", "topic", "partition", "offset")},
                        "required": ["reason", "topic", "partition", "offset"],
                    },
                },
            }
        },
    }


def _channel(topic: Topic, messages: Iterable[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"], "max.message.bytes": topic.max_message_bytes}
    if not topic.compacted:
        kept["retention.ms"] = -1 if topic.retention_ms is None else topic.retention_ms
    return {
        "address": topic.name,
        "description": f"{topic.holds[0].upper()}{topic.holds[1:]}; keyed by {topic.key}; written by {' and '.join(topic.writers)}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": kept, "bindingVersion": "0.5.0"}},
    }


def _message(name: str, schema_file: str, key: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "payload": {"$ref": schema_file},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }


def _operation(action: str, topic: Topic, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}, "summary": summary}
