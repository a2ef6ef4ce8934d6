"""Owns what must hold of the log after every transaction: I1 and I7, and by way of its facts what `FactChecks` knows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import TopicPartition

from events.facts import ANSWERS_USER
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS
from tests.simulation.broker import Record, Transaction
from tests.simulation.fact_checks import FactChecks

_REFUSALS = ("CommandHadNoEffect.v1", "CommandRejected.v1")


@dataclass(slots=True)
class LogChecks:
    """`orgs` are all there are; an org's id stands in everything that is its own, and nowhere else."""

    orgs: Sequence[str]
    partition_of: Callable[[str], int]
    records_of: Callable[[TopicPartition], Sequence[Record | None]]
    facts: FactChecks
    report: Callable[[str], None]
    answered: dict[tuple[str, str], Transaction] = field(default_factory=dict)
    """By org and command: the transaction that holds its first answer."""
    _times: dict[int, str] = field(default_factory=dict)
    _passed: dict[TopicPartition, int] = field(default_factory=dict)

    def committed(self, transaction: Transaction, written: Mapping[TopicPartition, Sequence[Record]]) -> None:
        for tp, records in written.items():
            if tp.topic == CAMPAIGN_EVENTS.name:
                for record in records:
                    self._event(record, transaction)

    def moved(self, group: str, tp: TopicPartition, end: int, written: Sequence[bytes | None]) -> None:
        """A group's place moves: what the engine's passes on the users' commands must be answered by now."""
        if group != "engine":
            return
        begin = self._passed.get(tp, 0)
        if end < begin:
            self.report(f"I1: the place on {tp.topic}/{tp.partition} went back from {begin} to {end}")
        self._passed[tp] = end
        if tp.topic == CAMPAIGN_COMMANDS.name:
            for record in self.records_of(tp)[begin:end]:
                if record is not None and record.is_committed and not self._is_answered(record, written):
                    self.report(f"I1: the command at {tp.topic}/{tp.partition}/{record.offset} was passed over")

    def _is_answered(self, record: Record, written: Iterable[bytes | None]) -> bool:
        try:
            envelope = orjson.loads(record.value or b"")
            key = envelope["orgid"], envelope["id"]
        except (ValueError, KeyError, TypeError):
            return record.value in written
        if self.partition_of(key[0]) != record.partition:
            return record.value in written
        return key in self.answered

    def _event(self, record: Record, transaction: Transaction) -> None:
        value = record.value or b""
        event = orjson.loads(value)
        org_id = event["orgid"]
        if record.key != org_id.encode() or self.partition_of(org_id) != record.partition:
            self.report(f"I7: an event of {org_id} stands on partition {record.partition}")
        for other in self.orgs:
            if other != org_id and other.encode() in value:
                self.report(f"I7: an event of {org_id} holds what is {other}'s: {event['type']}")
        if event["time"] < self._times.get(record.partition, ""):
            self.report(f"I6: time goes back on partition {record.partition}")
        self._times[record.partition] = event["time"]
        if event["type"] in ANSWERS_USER and "causationid" in event:
            self._answer(event, transaction)
        if event["type"] not in _REFUSALS:
            self.facts.fact(event)

    def _answer(self, event: dict[str, Any], transaction: Transaction) -> None:
        key = event["orgid"], event["causationid"]
        first = self.answered.setdefault(key, transaction)
        if first is not transaction and event["type"] not in _REFUSALS:
            self.report(f"I1: the command {key[1]} had an effect twice, the second time {event['type']}")
