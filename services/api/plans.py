"""Owns which commands a request becomes: one, or a creation in parts that each fit a record (design, "Commands and events")."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from events.campaigns import MAX_CONTACTS_PER_COMMAND, CampaignDraft
from events.codec import encode_command
from events.commands import AddContacts, CommandData, CreateCampaign, UpdateCampaign
from events.contacts import Customer, DialPlanEntry
from events.envelope import Command
from events.ids import campaign_id_of
from services.api.bodies import TOO_DEEP
from services.api.contact_spool import MAX_PART_BYTES, SPARE_BYTES
from services.api.errors import InvalidRequestError, TooLargeError

SOURCE = "/ringfold/api"
MAX_RECORD_BYTES = 900 * 1024
COMPLETED = "ContactsCompleted.v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose command it will be, its id, and what it asks (`request_hash`), by which the engine knows a repeat from another request."""

    org_id: str
    command_id: str
    request_hash: str

    @property
    def campaign_id(self) -> str:
        """Of the campaign that the command creates, if it does."""
        return campaign_id_of(self.org_id, self.command_id)

    def command(self, data: CommandData, campaign_id: str | None = None, part_id: str | None = None) -> Command:
        return Command(part_id or self.command_id, self.org_id, data, SOURCE, campaign_id, request_hash=self.request_hash)


@dataclass(frozen=True, slots=True)
class Plan:
    """The records to append, in order, and how the log will answer them; `records` gives the same ones each time it is gone through.

    `last_id` is the command whose answer completes the request. `completes_on` is the type of the event that ends its
    decision; None where that may be several and the run of events that name the command ends it.
    """

    asked: Asked
    campaign_id: str
    command_ids: tuple[str, ...]
    records: Iterable[bytes]
    last_id: str
    completes_on: str | None
    creates: bool = False
    is_upload: bool = False
    """Whether it is of any size: then it is waited for longer, and never answered from the log."""

    @property
    def org_id(self) -> str:
        return self.asked.org_id


def plan_change(asked: Asked, campaign_id: str, data: CommandData, completes_on: str | None = None) -> Plan:
    """One command on a campaign that exists; raises `TooLargeError` where it does not fit a record."""
    if isinstance(data, UpdateCampaign) and data.dial_plan is not None:
        contacts = sum(len(entry.customers) for entry in data.dial_plan)
        if contacts > MAX_CONTACTS_PER_COMMAND:
            message = f"dialPlan must hold at most {MAX_CONTACTS_PER_COMMAND} customers when it replaces another, {contacts} were given"
            raise InvalidRequestError([message])
    record = encoded(asked.command(data, campaign_id))
    if len(record) > MAX_RECORD_BYTES:
        raise TooLargeError(f"an edit must be at most {MAX_RECORD_BYTES} bytes as JSON, this is {len(record)}")
    return Plan(asked, campaign_id, (asked.command_id,), (record,), asked.command_id, completes_on)


def plan_creation(asked: Asked, draft: CampaignDraft) -> Plan:
    """The same draft under the same id becomes the same records, so that a creation cut short can be sent again.

    Raises `TooLargeError` where the campaign without its contacts, or one contact, does not fit a record.
    """
    campaign_id, command_id = asked.campaign_id, asked.command_id
    spec: dict[str, Any] = {field: getattr(draft, field) for field in draft.model_fields_set - {"customers", "dial_plan"}}
    parts = _parts(draft)
    if len(parts) == 1:
        contacts: dict[str, Any] = {"customers": draft.customers, "dial_plan": draft.dial_plan}
        record = encoded(asked.command(CreateCampaign.model_construct(**spec, **contacts)))
        if len(record) <= MAX_RECORD_BYTES:
            return Plan(asked, campaign_id, (command_id,), (record,), command_id, COMPLETED, creates=True)
    header = CreateCampaign.model_construct(**spec, parts=len(parts), has_dial_plan=draft.dial_plan is not None)
    records = [encoded(asked.command(header))]
    ids = [command_id]
    for number, part in enumerate(parts):
        ids.append(f"{command_id}.part-{number}")
        data = AddContacts.model_construct(part=number, **part)
        records.append(encoded(asked.command(data, campaign_id, ids[-1])))
    if len(records[0]) > MAX_RECORD_BYTES:
        raise TooLargeError(f"a campaign without its contacts must be at most {MAX_RECORD_BYTES} bytes as JSON, this is {len(records[0])}")
    if max(map(len, records)) > MAX_RECORD_BYTES:
        raise TooLargeError(f"one customer must be at most {MAX_RECORD_BYTES} bytes as JSON")
    return Plan(asked, campaign_id, tuple(ids), tuple(records), ids[-1], COMPLETED, creates=True)


def plan_repeated_creation(asked: Asked, spec: dict[str, Any]) -> Plan:
    """The command that created a campaign of this spec, again, without its contacts: the engine answers it as the repeat that it is.

    The spec was edited since, maybe, and taken by other rules than today's, so that it is not judged again.
    """
    data = {**spec, "parts": 1, "hasDialPlan": "phoneNumberId" not in spec}
    record = encode_command(asked.command(CreateCampaign.model_construct(name=spec["name"])), data)
    return Plan(asked, asked.campaign_id, (asked.command_id,), (record,), asked.command_id, COMPLETED, creates=True)


def encoded(command: Command) -> bytes:
    """The command's record; raises `InvalidRequestError` where what is given is nested deeper than can be written."""
    try:
        return encode_command(command)
    except (TypeError, RecursionError, ValueError) as error:
        raise InvalidRequestError([TOO_DEEP]) from error


def _parts(draft: CampaignDraft) -> list[dict[str, Any]]:
    if draft.customers is not None:
        return [{"customers": list(part)} for part in _cut(draft.customers)]
    return _dial_plan_parts(draft.dial_plan or [])


def _cut(customers: Sequence[Customer]) -> Iterator[Sequence[Customer]]:
    start, size = 0, 0
    for index, customer in enumerate(customers):
        more = _size(customer)
        if index > start and (size + more > MAX_PART_BYTES - SPARE_BYTES or index - start == MAX_CONTACTS_PER_COMMAND):
            yield customers[start:index]
            start, size = index, 0
        size += more
    yield customers[start:]


def _dial_plan_parts(dial_plan: Sequence[DialPlanEntry]) -> list[dict[str, Any]]:
    """Entries in order, a long one going on over several parts; `first_entry` counts in the whole plan."""
    parts: list[dict[str, Any]] = []
    entries: list[DialPlanEntry] = []
    first, size, count = 0, 0, 0
    for index, entry in enumerate(dial_plan):
        taken: list[Customer] = []
        for customer in entry.customers:
            more = _size(customer) + (0 if taken else len(entry.phone_number_id) * 6 + 50)
            if count and (size + more > MAX_PART_BYTES - SPARE_BYTES or count == MAX_CONTACTS_PER_COMMAND):
                parts.append({"dial_plan": _with(entries, entry, taken), "first_entry": first})
                entries, taken, first, size, count = [], [], index, 0, 0
            taken.append(customer)
            size, count = size + more, count + 1
        entries = _with(entries, entry, taken)
    parts.append({"dial_plan": entries, "first_entry": first})
    return parts


def _with(entries: list[DialPlanEntry], entry: DialPlanEntry, customers: list[Customer]) -> list[DialPlanEntry]:
    if not customers:
        return entries
    return [*entries, DialPlanEntry.model_construct(phone_number_id=entry.phone_number_id, customers=customers)]


def _size(customer: Customer) -> int:
    try:
        return len(orjson.dumps(customer.to_wire())) + 1
    except (TypeError, RecursionError, ValueError) as error:
        raise InvalidRequestError([TOO_DEEP]) from error
