"""Owns the decisions that make a campaign and give it its contacts."""

from collections.abc import Iterator
from datetime import datetime

from events import commands, facts
from events.campaigns import DEFAULT_MAX_CONCURRENCY
from events.contacts import Customer, DialPlanEntry
from events.envelope import Command, Event
from events.ids import call_id_of, campaign_id_of
from events.wire import made
from services.engine.decider.outcomes import fact, incomplete, not_found, nothing_to_change, rejected, repeated
from services.engine.decider.policy import Policy
from services.engine.decider.state import CampaignState, PartitionState


def create_campaign(state: PartitionState, command: Command, data: commands.CreateCampaign, now: datetime, policy: Policy) -> list[Event]:
    """`CampaignCreated`, then one `CallScheduled` per inline contact in order and `ContactsCompleted`; with parts those follow later."""
    campaign_id = campaign_id_of(command.org_id, command.id)
    if campaign_id in state.campaigns:
        # the id was handled so long ago that only its campaign still tells
        return [repeated(command, now, facts.CampaignCreated.type_name, state.campaigns[campaign_id].created_at, campaign_id)]
    limit = policy.limit_of(command.org_id)
    if data.max_concurrency is not None and data.max_concurrency > limit:
        message = f"maxConcurrency must be at most {limit}, the org's concurrency limit"
        return rejected(command, now, "limit-exceeded", [message], campaign_id)
    spec = data.model_dump(exclude={"customers", "dial_plan", "parts", "has_dial_plan", "max_concurrency"}, exclude_none=True)
    created = facts.CampaignCreated(
        **spec,
        max_concurrency=data.max_concurrency or min(DEFAULT_MAX_CONCURRENCY, limit),
        has_dial_plan=data.has_dial_plan or data.dial_plan is not None,
        parts=data.parts,
        contacts_due_at=now + policy.contacts_window if data.parts else None,
    )
    events = [fact(command, now, created, campaign_id)]
    if data.parts == 0:
        events += contacts(command, now, campaign_id, 0, data.customers, data.dial_plan)
        events.append(fact(command, now, facts.ContactsCompleted(contacts=len(events) - 1), campaign_id))
    return events


def add_contacts(state: PartitionState, command: Command, data: commands.AddContacts, now: datetime, policy: Policy) -> list[Event]:
    """One `CallScheduled` per contact; then `ContactsCompleted`, in a creation in parts after the last part only."""
    campaign = state.campaign_of(command.org_id, command.campaign_id)
    if campaign is None:
        return _of_no_campaign(state, command, now)
    return _added(campaign, command, data, now) if data.part is None else _part_taken(campaign, command, data, data.part, now)


def _of_no_campaign(state: PartitionState, command: Command, now: datetime) -> list[Event]:
    """A creation in parts that was given up says so to whoever sends its parts later."""
    given_up = state.campaigns.get(command.campaign_id or "")
    if given_up is None or given_up.org_id != command.org_id or given_up.complete:
        return not_found(command, now)
    return rejected(command, now, "contacts-incomplete", [incomplete(given_up)])


def _added(campaign: CampaignState, command: Command, data: commands.AddContacts, now: datetime) -> list[Event]:
    """To a campaign that has all its contacts and is not over; they are called after those it has."""
    if not campaign.complete:
        return not_found(command, now)
    messages = []
    if campaign.is_over:
        messages.append(f"contacts can only be added until the campaign is over, it is {campaign.status}")
    if campaign.has_dial_plan:
        messages.append("contacts can not be added to a campaign with a dialPlan")
    if messages:
        return rejected(command, now, "state-forbids", messages)
    events = contacts(command, now, campaign.id, campaign.total, data.customers, None)
    return [*events, _completed(campaign, command, now, len(events))]


def _part_taken(campaign: CampaignState, command: Command, data: commands.AddContacts, part: int, now: datetime) -> list[Event]:
    """The part that is expected next of a campaign that is created in parts."""
    if campaign.complete:
        return rejected(command, now, "state-forbids", ["the campaign's contacts are complete"])
    if part < campaign.parts_received:
        return nothing_to_change(command, now)
    messages = []
    if part != campaign.parts_received:
        messages.append(f"part must be {campaign.parts_received}, the next one of {campaign.parts}")
    if campaign.has_dial_plan != (data.dial_plan is not None):
        messages.append("dialPlan is required, as the campaign has one" if campaign.has_dial_plan else "customers is required")
    if messages:
        return rejected(command, now, "invalid", messages)
    events = contacts(command, now, campaign.id, campaign.total, data.customers, data.dial_plan, part, data.first_entry)
    if part == campaign.parts - 1:
        events.append(_completed(campaign, command, now, len(events)))
    return events


def _completed(campaign: CampaignState, command: Command, now: datetime, added: int) -> Event:
    count = campaign.total - campaign.first_position + added
    return fact(command, now, facts.ContactsCompleted(contacts=count), campaign.id)


def contacts(
    command: Command,
    now: datetime,
    campaign_id: str,
    first_position: int,
    customers: list[Customer] | None,
    dial_plan: list[DialPlanEntry] | None,
    part: int | None = None,
    first_entry: int = 0,
) -> list[Event]:
    """`CallScheduled` for each contact, positions counted on from `first_position`, dial-plan entries from `first_entry`."""
    return [
        Event(command.org_id, now, _scheduled(position, *contact, part), campaign_id, call_id_of(campaign_id, position), command.id)
        for position, contact in enumerate(_in_order(customers, dial_plan, first_entry), first_position)
    ]


_SCHEDULED = set(facts.CallScheduled.model_fields)


def _scheduled(position: int, customer: Customer, number: str | None, entry: int | None, part: int | None) -> facts.CallScheduled:
    # the command was validated, so that its contacts need not be once more
    values = {"position": position, "customer": customer, "phone_number_id": number, "entry": entry, "part": part}
    return made(facts.CallScheduled, values, _SCHEDULED)


def _in_order(
    customers: list[Customer] | None, dial_plan: list[DialPlanEntry] | None, first_entry: int
) -> Iterator[tuple[Customer, str | None, int | None]]:
    for customer in customers or ():
        yield customer, None, None
    for index, entry in enumerate(dial_plan or (), first_entry):
        for customer in entry.customers:
            yield customer, entry.phone_number_id, index
