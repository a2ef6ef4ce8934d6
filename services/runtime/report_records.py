"""Owns that a report of a call always fits a record: without its analysis, where that is too large to be kept."""

import logging
from dataclasses import replace

from events.codec import encode_command
from events.commands import ReportCall
from events.envelope import Command
from events.topics import MAX_COMMAND_BYTES

_MAX_RECORD_BYTES = MAX_COMMAND_BYTES * 7 // 8
"""Leaves room for what Kafka counts beside the value."""

_log = logging.getLogger(__name__)


def encode_fitting(command: Command) -> bytes:
    """The command's record value; anything but a report is left as it is."""
    record = encode_command(command)
    if len(record) > _MAX_RECORD_BYTES and isinstance(command.data, ReportCall):
        _log.warning("a report's analysis is too large and was left out", extra={"action": "drop-analysis", "call": command.call_id})
        return encode_command(replace(command, data=command.data.model_copy(update={"analysis": None})))
    return record
