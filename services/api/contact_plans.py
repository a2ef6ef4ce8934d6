"""Owns which commands a spool of contacts becomes: a creation in parts, or an addition to a campaign that has its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from events.campaigns import CampaignSpec
from events.codec import encode_command
from events.commands import AddContacts, CreateCampaign
from services.api.contact_spool import ContactSpool
from services.api.errors import TooLargeError
from services.api.plans import COMPLETED, MAX_RECORD_BYTES, Asked, Plan, encoded


@dataclass(frozen=True, slots=True)
class SpooledRecords:
    """The records of a plan, made anew each time they are gone through; only one is in memory at a time."""

    asked: Asked
    campaign_id: str
    part_ids: tuple[str, ...]
    spool: ContactSpool
    first: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        if self.first is not None:
            yield self.first
        for number, (part_id, customers) in enumerate(zip(self.part_ids, self.spool.arrays(), strict=True)):
            part: dict[str, Any] = {} if self.first is None else {"part": number}
            command = self.asked.command(AddContacts.model_construct(), self.campaign_id, part_id)
            yield encode_command(command, part | {"customers": orjson.Fragment(customers)})


def plan_spooled_creation(asked: Asked, spec: CampaignSpec, spool: ContactSpool) -> Plan:
    """A campaign with the spool's contacts.

    Raises as `encoded` does, and `TooLargeError` where the campaign, or one contact, does not fit a record.
    """
    fields: dict[str, Any] = {field: getattr(spec, field) for field in spec.model_fields_set & CampaignSpec.model_fields.keys()}
    header = encoded(asked.command(CreateCampaign.model_construct(**fields, parts=len(spool.parts))))
    if len(header) > MAX_RECORD_BYTES:
        raise TooLargeError(f"a campaign without its contacts must be at most {MAX_RECORD_BYTES} bytes as JSON, this is {len(header)}")
    part_ids = _part_ids(asked.command_id, spool)
    records = SpooledRecords(asked, asked.campaign_id, part_ids, spool, header)
    return Plan(asked, asked.campaign_id, (asked.command_id, *part_ids), records, part_ids[-1], COMPLETED, creates=True, is_upload=True)


def plan_addition(asked: Asked, campaign_id: str, spool: ContactSpool) -> Plan:
    """The spool's contacts for a campaign that has its own; raises `TooLargeError` where one contact does not fit a record."""
    part_ids = (asked.command_id, *_part_ids(asked.command_id, spool)[1:])
    records = SpooledRecords(asked, campaign_id, part_ids, spool)
    return Plan(asked, campaign_id, part_ids, records, part_ids[-1], COMPLETED, is_upload=True)


def _part_ids(command_id: str, spool: ContactSpool) -> tuple[str, ...]:
    spool.finish()
    if spool.largest > MAX_RECORD_BYTES:
        raise TooLargeError(f"one customer must be at most {MAX_RECORD_BYTES} bytes as JSON")
    return tuple(f"{command_id}.part-{number}" for number in range(len(spool.parts)))
