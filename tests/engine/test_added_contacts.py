"""The rules on contacts that are added to a campaign that has all of its own."""

import pytest

from events import commands
from tests.engine.given import T0, World, customers, draft, names


def more(count: int = 2) -> commands.AddContacts:
    return commands.AddContacts.model_validate({"customers": customers(count)})


def test_added_contacts_are_called_after_those_the_campaign_has() -> None:
    world = World()
    campaign_id = world.create(3, maxConcurrency=1)
    events = world.do(more(), campaign_id, id="add")
    assert names(events) == ["CallScheduled", "CallScheduled", "ContactsCompleted"]
    assert [event.data.to_wire().get("position") for event in events] == [3, 4, None]
    assert events[2].data.to_wire() == {"contacts": 5}
    assert {event.causation_id for event in events} == {"add"}
    world.run_out(campaign_id)
    assert world.campaign(campaign_id).status == "ended"
    assert world.campaign(campaign_id).next_position == 5


def test_contacts_added_while_slots_are_free_are_dialed_at_once() -> None:
    world = World()
    campaign_id = world.create(1, maxConcurrency=3)
    assert names(world.do(more(3), campaign_id))[3:] == ["ContactsCompleted", "CallQueued", "CallQueued"]


def test_a_repeated_addition_adds_nothing() -> None:
    world = World()
    campaign_id = world.create(1)
    world.do(more(), campaign_id, id="add")
    assert names(world.do(more(), campaign_id, id="add")) == ["CommandHadNoEffect"]
    assert world.campaign(campaign_id).total == 3


@pytest.mark.parametrize("stop", [commands.StopCampaign(), commands.ArchiveCampaign()])
def test_a_campaign_that_is_over_takes_no_contacts(stop: commands.CommandData) -> None:
    world = World()
    campaign_id = world.create(1)
    world.do(stop, campaign_id)
    (event,) = world.do(more(), campaign_id)
    status = world.campaign(campaign_id).status
    assert event.data.to_wire()["messages"] == [f"contacts can only be added until the campaign is over, it is {status}"]


def test_a_campaign_with_a_dial_plan_takes_no_single_contacts() -> None:
    world = World()
    plan = [{"phoneNumberId": "p", "customers": customers(1)}]
    data = commands.CreateCampaign.model_validate({"name": "x", "assistantId": "a", "dialPlan": plan})
    campaign_id = world.do(data)[0].campaign_id
    (event,) = world.do(more(), campaign_id)
    assert event.data.to_wire()["messages"] == ["contacts can not be added to a campaign with a dialPlan"]


@pytest.mark.parametrize("case", ["unknown", "deleted", "another org's", "still incomplete"])
def test_a_campaign_that_is_not_shown_is_not_found(case: str) -> None:
    world = World()
    campaign_id: str | None = world.create(1)
    org = "org-1"
    if case == "unknown":
        campaign_id = "5f3b1d1a-0000-4000-8000-000000000000"
    elif case == "deleted":
        world.do(commands.DeleteCampaign(), campaign_id)
    elif case == "another org's":
        org = "org-2"
    else:
        data = commands.CreateCampaign.model_validate({"name": "x", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
        campaign_id = world.do(data)[0].campaign_id
    (event,) = world.do(more(), campaign_id, org=org)
    assert event.data.to_wire()["reason"] == "not-found"


def test_a_part_of_a_creation_is_refused_once_the_contacts_are_complete() -> None:
    world = World()
    campaign_id = world.create(1)
    part = commands.AddContacts.model_validate({"part": 0, "customers": customers(1)})
    (event,) = world.do(part, campaign_id)
    assert event.data.to_wire()["messages"] == ["the campaign's contacts are complete"]


def test_added_contacts_wait_for_the_campaigns_beginning_and_stay_paused_with_it() -> None:
    world = World()
    campaign_id = world.do(draft(1, schedulePlan={"earliestAt": "2030-01-01T09:05:00Z"}), id="later")[0].campaign_id or ""
    assert "CallQueued" not in names(world.do(more(), campaign_id))
    world.do(commands.PauseCampaign(), campaign_id)
    assert world.after(minutes=10) == []
    assert names(world.do(commands.ResumeCampaign(), campaign_id)).count("CallQueued") == 3
    assert world.now > T0
