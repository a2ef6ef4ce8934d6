"""The rules on users' commands: each is answered by an event that names it, and edits follow the campaign's state."""

import pytest

from events import commands
from events.ids import campaign_id_of
from services.engine.decider.policy import Policy
from tests.engine.given import World, customers, draft, names

FUTURE = {"earliestAt": "2031-01-01T00:00:00Z"}


def edit(**fields: object) -> commands.UpdateCampaign:
    return commands.UpdateCampaign.model_validate(fields)


def test_a_repeated_command_has_no_effect_and_names_the_first() -> None:
    world = World()
    first = world.do(draft(), id="c")
    again = world.do(draft(), id="c")
    assert names(again) == ["CommandHadNoEffect"]
    assert again[0].campaign_id == first[0].campaign_id == campaign_id_of("org-1", "c")
    assert again[0].data.to_wire()["firstType"] == "CampaignCreated.v1"


def test_the_same_id_of_another_org_is_another_command() -> None:
    world = World()
    world.do(draft(), id="c")
    assert names(world.do(draft(), id="c", org="org-2"))[0] == "CampaignCreated"


def test_more_concurrency_than_the_orgs_limit_is_rejected_and_says_the_limit() -> None:
    world = World(Policy(org_limit=20))
    events = world.do(draft(maxConcurrency=21))
    assert names(events) == ["CommandRejected"]
    assert events[0].data.to_wire()["messages"] == ["maxConcurrency must be at most 20, the org's concurrency limit"]


@pytest.mark.parametrize(
    "data",
    [
        edit(name="x"), commands.StopCampaign(), commands.PauseCampaign(), commands.ResumeCampaign(),
        commands.ArchiveCampaign(), commands.DeleteCampaign(),
    ],
)  # fmt: skip
def test_another_orgs_campaign_is_not_found(data: commands.CommandData) -> None:
    world = World()
    campaign_id = world.create()
    events = world.do(data, campaign_id, org="org-2")
    assert events[0].data.to_wire()["reason"] == "not-found"


def test_a_scheduled_campaign_can_be_edited() -> None:
    world = World()
    campaign_id = world.create(schedulePlan=FUTURE)
    events = world.do(edit(name="New", squadId="s", schedulePlan={"earliestAt": "2030-01-01T10:00:00Z"}), campaign_id)
    assert names(events) == ["CampaignUpdated"]
    assert names(world.after(hours=1))[0] == "CampaignStarted"


def test_a_campaign_under_way_takes_a_name_and_nothing_else() -> None:
    world = World()
    campaign_id = world.create()
    events = world.do(edit(name="New", assistantId="b", schedulePlan=FUTURE), campaign_id)
    assert events[0].data.to_wire()["messages"] == [
        "assistantId can only be changed while the campaign is scheduled, it is in-progress",
        "schedulePlan can only be changed while the campaign is scheduled, it is in-progress",
    ]
    assert names(world.do(edit(name="New"), campaign_id)) == ["CampaignUpdated"]


def test_an_empty_edit_changes_nothing() -> None:
    world = World()
    campaign_id = world.create(schedulePlan=FUTURE)
    assert names(world.do(edit(), campaign_id)) == ["CommandHadNoEffect"]


def test_an_edit_and_a_stop_come_in_one_decision() -> None:
    world = World()
    campaign_id = world.create(1, schedulePlan=FUTURE)
    assert names(world.do(edit(name="x", status="cancelled"), campaign_id)) == ["CampaignUpdated", "CampaignCancelled", "CallEnded"]


def test_a_new_dial_plan_replaces_all_contacts() -> None:
    world = World()
    campaign_id = world.create(3, schedulePlan=FUTURE)
    plan = [{"phoneNumberId": "p-2", "customers": customers(2)}, {"phoneNumberId": "p-3", "customers": customers(1)}]
    events = world.do(edit(dialPlan=plan), campaign_id)
    assert names(events) == ["CampaignUpdated", "CallScheduled", "CallScheduled", "CallScheduled", "ContactsCompleted"]
    assert [e.data.to_wire()["position"] for e in events[1:4]] == [3, 4, 5]
    assert [e.data.to_wire()["entry"] for e in events[1:4]] == [0, 0, 1]
    assert world.campaign(campaign_id).pending == 3


def test_stopping_what_is_over_has_no_effect() -> None:
    world = World()
    campaign_id = world.create()
    world.do(commands.StopCampaign(), campaign_id)
    assert names(world.do(commands.StopCampaign(), campaign_id)) == ["CommandHadNoEffect"]
    assert names(world.do(edit(status="cancelled"), campaign_id)) == ["CommandHadNoEffect"]


def test_archiving_cancels_what_is_active_and_forbids_every_edit() -> None:
    world = World()
    campaign_id = world.create(1)
    assert names(world.do(commands.ArchiveCampaign(), campaign_id)) == ["CampaignCancelled", "CallEnded", "CampaignArchived"]
    assert names(world.do(edit(name="x"), campaign_id)) == ["CommandRejected"]
    assert names(world.do(commands.ArchiveCampaign(), campaign_id)) == ["CommandHadNoEffect"]


def test_deleting_ends_what_is_active_and_the_campaign_is_not_found_afterwards() -> None:
    world = World()
    campaign_id = world.create(1)
    assert names(world.do(commands.DeleteCampaign(), campaign_id)) == ["CampaignEnded", "CallEnded", "CampaignDeleted"]
    assert world.do(commands.DeleteCampaign(), campaign_id)[0].data.to_wire()["reason"] == "not-found"


def test_a_paused_campaign_queues_nothing_until_it_is_resumed() -> None:
    world = World()
    campaign_id = world.create(3, schedulePlan={"earliestAt": "2030-01-01T10:00:00Z"})
    world.do(commands.PauseCampaign(), campaign_id)
    assert world.after(hours=2) == []
    assert "CallQueued" in names(world.do(commands.ResumeCampaign(), campaign_id))


def test_an_id_that_is_used_again_after_it_was_forgotten_makes_no_second_campaign() -> None:
    world = World()
    campaign_id = world.create(1, id="c")
    world.run_out(campaign_id)
    world.after(days=40)
    world.create(1, id="another")
    assert ("org-1", "c") not in world.state.handled
    again = world.do(draft(1), id="c")
    assert names(again) == ["CommandHadNoEffect"]
    assert again[0].campaign_id == campaign_id
