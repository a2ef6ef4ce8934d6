"""The rules of the contract's "Scheduling" and "Campaign status"."""

from datetime import timedelta
from typing import Any

import pytest

from events import commands
from events.envelope import Event
from services.engine.decider import advance as advancing
from services.engine.decider.advance import advance
from services.engine.decider.policy import Policy
from services.engine.decider.state import OrgState
from tests.engine.given import ORG, T0, World, names, reasons


def test_a_campaign_without_a_plan_starts_at_once_in_the_order_of_its_customers() -> None:
    world = World()
    campaign_id = world.create(3)
    assert names(world.log) == [
        "CampaignCreated", "CallScheduled", "CallScheduled", "CallScheduled", "ContactsCompleted",
        "CampaignStarted", "CallQueued", "CallQueued", "CallQueued",
    ]  # fmt: skip
    scheduled = [e.call_id for e in world.log if names([e]) == ["CallScheduled"]]
    assert [call.id for call in world.active(campaign_id)] == scheduled


def test_calls_begin_at_earliest_at_and_not_before() -> None:
    world = World()
    campaign_id = world.create(2, schedulePlan={"earliestAt": "2030-01-01T10:00:00Z"})
    assert world.campaign(campaign_id).status == "scheduled"
    assert world.after(minutes=59) == []
    assert names(world.after(minutes=1)) == ["CampaignStarted", "CallQueued", "CallQueued"]


def test_the_next_call_is_dispatched_the_moment_one_ends() -> None:
    world = World()
    campaign_id = world.create(5, maxConcurrency=2)
    first, _ = world.active(campaign_id)
    assert len(world.active(campaign_id)) == 2
    assert names(world.finish(first)) == ["CallEnded", "CallQueued"]
    assert len(world.active(campaign_id)) == 2


def test_max_concurrency_defaults_to_ten() -> None:
    world = World()
    campaign_id = world.create(30)
    assert len(world.active(campaign_id)) == 10


def test_the_orgs_limit_holds_over_all_its_campaigns_and_is_shared_fairly() -> None:
    world = World(Policy(org_limit=12))
    first, second = world.create(50, id="one"), world.create(50, id="two")
    assert (len(world.active(first)), len(world.active(second))) == (10, 2)
    for _ in range(6):
        world.finish(world.active(first)[0])
    assert (len(world.active(first)), len(world.active(second))) == (6, 6)


def test_one_orgs_limit_does_not_touch_another_org() -> None:
    world = World(Policy(org_limit=10))
    world.create(20, id="one")
    other = world.create(20, org="org-2", id="two")
    assert world.state.orgs["org-2"].active == 10
    assert len(world.active(other)) == 10


def test_a_campaign_ends_with_success_when_every_call_is_over_by_itself() -> None:
    world = World()
    campaign_id = world.create(3, maxConcurrency=1)
    world.run_out(campaign_id)
    assert names(world.log)[-2:] == ["CallEnded", "CampaignEnded"]
    assert world.campaign(campaign_id).status == "ended"
    assert world.log[-1].data.to_wire() == {"endedReason": "campaign.ended.success"}


def test_the_hour_begins_when_the_orgs_limit_first_holds_a_call_back() -> None:
    world = World(Policy(org_limit=2))
    first = world.create(2, maxConcurrency=2, id="one")
    world.dial(world.active(first)[0])
    second = world.create(2, maxConcurrency=2, id="two")
    assert names(world.log)[-1] == "CampaignHeldBack"
    assert world.campaign(second).retry_until == T0 + timedelta(hours=1)


def test_what_the_orgs_limit_still_holds_back_after_the_hour_is_not_placed() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=5)))
    first = world.create(2, maxConcurrency=2, id="one")
    second = world.create(3, maxConcurrency=2, id="two")
    world.dial(world.active(first)[0])
    events = world.after(hours=1)
    assert reasons(events) == ["call.start.error-subscription-concurrency-limit-reached"] * 3
    assert names(events)[-1] == "CampaignEnded"
    assert world.log[-1].data.to_wire() == {"endedReason": "campaign.ended.success"}
    assert world.campaign(second).pending == 0


def test_while_a_paused_campaigns_calls_keep_the_orgs_slots_no_hour_begins_and_nothing_is_dropped() -> None:
    world = World(Policy(org_limit=2))
    first = world.create(4, maxConcurrency=2, id="one")
    world.do(commands.PauseCampaign(), first)
    second = world.create(2, maxConcurrency=2, id="two")
    assert "CampaignHeldBack" not in names(world.log)
    assert world.after(hours=30) == []
    assert world.campaign(second).pending == 2
    world.do(commands.StopCampaign(), first)
    assert len(world.active(second)) == 2


def test_one_call_kept_by_a_pause_is_enough_for_the_others_to_wait_without_an_hour() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=5)))
    first = world.create(2, maxConcurrency=2, id="one")
    world.claim(world.active(first)[0])
    world.outcome(world.active(first)[0])
    world.do(commands.PauseCampaign(), first)
    world.create(2, maxConcurrency=2, id="two")
    assert "CampaignHeldBack" not in names(world.log)


def test_an_hour_does_not_end_while_a_pause_keeps_the_slots_and_a_new_one_begins_when_they_are_used_again() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=9)))
    first = world.create(4, maxConcurrency=2, id="one")
    world.dial(world.active(first)[0])
    second = world.create(3, maxConcurrency=2, id="two")
    assert names(world.log)[-1] == "CampaignHeldBack"
    world.do(commands.PauseCampaign(), first)
    assert world.after(hours=3) == []
    assert world.campaign(second).pending == 3
    events = world.do(commands.ResumeCampaign(), first)
    assert names(events) == ["CampaignResumed", "CallQueued", "CampaignHeldBack"]
    assert world.campaign(second).retry_until == world.now + timedelta(hours=1)
    assert reasons(world.after(hours=1)) == ["call.start.error-subscription-concurrency-limit-reached"] * 3


def test_while_no_call_of_the_org_can_be_claimed_no_hour_begins_and_nothing_is_dropped() -> None:
    world = World(Policy(org_limit=3))
    first = world.create(3, maxConcurrency=3, id="one")
    second = world.create(10, id="two")
    assert world.after(hours=30) == []
    assert world.campaign(second).pending == 10
    assert names(world.dial(world.active(first)[0])) == ["CallClaimed", "CallPlaced", "CampaignHeldBack"]


def test_an_hour_does_not_end_once_no_call_of_the_org_is_dialed_any_more() -> None:
    world = World(Policy(org_limit=1))
    first = world.create(1, id="one")
    second = world.create(10, id="two")
    call = world.active(first)[0]
    world.claim(call)
    assert names(world.after(seconds=60)) == ["CallOutcomeUnknown", "CampaignHeldBack"]
    assert names(world.outcome(call, "not-placed")) == ["CallQueued"]
    assert world.after(hours=1) == []
    assert world.campaign(second).pending == 10


def test_calls_that_are_claimed_to_try_a_provider_that_is_away_make_no_hour_pass() -> None:
    world = World(Policy(org_limit=1))
    first = world.create(1, id="one")
    second = world.create(10, id="two")
    call = world.active(first)[0]
    for number in range(300):
        tried = [*world.claim(call, f"claim-{number}"), *world.outcome(call, "not-placed", f"claim-{number}")]
        assert names(tried) == ["CallClaimed", "CallQueued"]
        world.after(seconds=15)
    assert world.campaign(second).pending == 10


def test_an_hour_passes_in_a_busy_org_though_one_of_its_calls_awaits_its_claim_or_is_unknown() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=5)))
    first = world.create(2, maxConcurrency=2, id="one")
    second = world.create(3, maxConcurrency=2, id="two")
    world.claim(world.active(first)[0])
    assert names(world.after(seconds=60)) == ["CallOutcomeUnknown", "CampaignHeldBack"]
    assert reasons(world.after(hours=1)) == ["call.start.error-subscription-concurrency-limit-reached"] * 3
    assert world.campaign(second).status == "ended"


def test_waiting_under_the_campaigns_own_limit_never_ends_a_call() -> None:
    world = World(Policy(longest_call=timedelta(hours=9)))
    campaign_id = world.create(30, maxConcurrency=1)
    call = world.active(campaign_id)[0]
    world.claim(call)
    world.outcome(call)
    assert world.after(hours=8) == []
    assert world.campaign(campaign_id).pending == 29


def test_an_hour_of_zero_means_until_done() -> None:
    world = World(Policy(org_limit=1, hour=timedelta(0)))
    world.create(1, maxConcurrency=1, id="one")
    second = world.create(1, maxConcurrency=1, id="two")
    world.after(hours=100)
    assert world.campaign(second).pending == 1


def test_no_call_is_queued_from_latest_at_on() -> None:
    world = World()
    plan = {"earliestAt": "2030-01-01T09:00:00Z", "latestAt": "2030-01-01T09:30:00Z"}
    campaign_id = world.create(3, maxConcurrency=1, schedulePlan=plan)
    call = world.active(campaign_id)[0]
    world.claim(call)
    world.outcome(call)
    assert reasons(world.after(minutes=30)) == ["call.start.error-latest-at-passed"] * 2
    assert names(world.report(call, "ended", ended_reason="voicemail")) == ["CallEnded", "CampaignEnded"]


def test_a_call_that_was_queued_but_not_claimed_is_not_placed_after_latest_at() -> None:
    world = World()
    plan = {"earliestAt": "2030-01-01T09:00:00Z", "latestAt": "2030-01-01T09:30:00Z"}
    campaign_id = world.create(1, schedulePlan=plan)
    call = world.active(campaign_id)[0]
    world.after(minutes=30)
    assert reasons(world.claim(call)) == ["call.start.error-latest-at-passed"]


def test_stopping_before_the_first_call_says_so() -> None:
    world = World()
    campaign_id = world.create(2, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    events = world.do(commands.StopCampaign(), campaign_id)
    assert names(events) == ["CampaignEnded", "CallEnded", "CallEnded"]
    assert events[0].data.to_wire() == {"endedReason": "campaign.scheduled.ended-by-user"}
    assert reasons(events) == ["scheduled-call-deleted"] * 2


def test_stopping_during_the_run_lets_calls_under_way_finish() -> None:
    world = World()
    campaign_id = world.create(5, maxConcurrency=2)
    placed, unclaimed = world.active(campaign_id)
    world.claim(placed)
    world.outcome(placed)
    events = world.do(commands.StopCampaign(status="cancelled"), campaign_id)
    assert names(events)[0] == "CampaignCancelled"
    assert events[0].data.to_wire() == {"endedReason": "campaign.in-progress.ended-by-user"}
    assert [event.call_id for event in events[1:2]] == [unclaimed.id]
    assert world.active(campaign_id) == [placed]
    assert names(world.report(placed, "ended", ended_reason="voicemail")) == ["CallEnded"]
    assert world.campaign(campaign_id).status == "cancelled"
    assert world.state.orgs[ORG].active == 0


def test_stopping_a_large_campaign_comes_in_pieces_within_the_limit_of_a_transaction() -> None:
    world = World()
    campaign_id = world.create(4_000, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    world.do(commands.PauseCampaign(), campaign_id)
    before = len(world.log)
    world.state.stirred.clear()
    for _ in range(1):
        world.do(commands.StopCampaign(), campaign_id)
    assert len(world.log) - before == 4_001
    assert world.campaign(campaign_id).pending == 0


def test_a_campaign_whose_parts_do_not_all_come_in_time_is_rejected() -> None:
    world = World()
    data = commands.CreateCampaign.model_validate({"name": "x", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
    campaign_id = world.do(data, id="create")[0].campaign_id
    world.do(commands.AddContacts.model_validate({"part": 0, "customers": [{"number": "+14155550000"}]}), campaign_id)
    assert world.after(minutes=9) == []
    events = world.after(minutes=1)
    assert names(events) == ["CommandRejected", "CampaignDeleted", "CallEnded"]
    assert events[0].causation_id == "create"


def test_a_campaign_in_parts_is_not_dialed_before_its_last_part() -> None:
    world = World()
    data = commands.CreateCampaign.model_validate({"name": "x", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
    campaign_id = world.do(data)[0].campaign_id

    def part(number: int) -> commands.AddContacts:
        return commands.AddContacts.model_validate({"part": number, "customers": [{"number": f"+1415555000{number}"}]})

    assert names(world.do(part(1), campaign_id)) == ["CommandRejected"]
    assert names(world.do(part(0), campaign_id)) == ["CallScheduled"]
    assert names(world.do(part(0), campaign_id)) == ["CommandHadNoEffect"]
    done = world.do(part(1), campaign_id)
    assert names(done) == ["CallScheduled", "ContactsCompleted", "CampaignStarted", "CallQueued", "CallQueued"]
    assert done[1].data.to_wire() == {"contacts": 2}


def test_deadlines_that_no_longer_hold_do_not_pile_up() -> None:
    world = World(Policy(org_limit=1, outcome_window=timedelta(hours=2)))
    campaign_id = world.create(3_000, maxConcurrency=1)
    world.run_out(campaign_id)
    assert len(world.state.deadlines.heap) < 1_100


def test_a_short_contention_long_ago_does_not_drop_a_campaign_that_was_free_since() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=9)))
    first = world.create(2, maxConcurrency=2, id="one")
    long = world.create(100, maxConcurrency=2, id="two")
    world.run_out(first)
    for call in world.active(long):
        world.claim(call)
        world.outcome(call)
    world.after(hours=2)
    world.create(1, maxConcurrency=1, id="three")
    world.report(world.active(long)[0], "ended", ended_reason="voicemail", final=True)
    assert world.campaign(long).pending > 90
    assert world.campaign(long).retry_until == T0 + timedelta(hours=3)


def test_dropping_a_large_campaign_does_not_hold_up_another_org() -> None:
    world = World()
    large = world.create(4_000, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    world.do(commands.StopCampaign(), large)
    later = world.create(4_000, schedulePlan={"earliestAt": "2030-01-02T00:00:00Z", "latestAt": "2030-01-03T00:00:00Z"}, id="later")
    world.create(5, org="org-2", schedulePlan={"earliestAt": "2030-01-03T00:00:00Z"}, id="other")
    world.do(commands.PauseCampaign(), later)
    world.now = T0.replace(day=3, hour=0)
    first = advance(world.state, world.now, world.policy, 1_000)
    assert "CallQueued" in names(first)
    assert world.campaign(later).pending > 0


def looks_at_orgs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The orgs in the order in which they are looked at from here on; a look costs as much as the org has open campaigns."""
    looks: list[str] = []
    step = advancing._org_step

    def counted(org: OrgState, *rest: Any) -> list[Event]:
        looks.append(org.id)
        return step(org, *rest)

    monkeypatch.setattr(advancing, "_org_step", counted)
    return looks


def test_many_campaigns_that_are_too_late_at_once_end_in_a_few_looks_at_their_org(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    plan = {"earliestAt": "2030-01-01T10:00:00Z", "latestAt": "2030-01-01T11:00:00Z"}
    for number in range(300):
        world.create(1, schedulePlan=plan, id=f"c-{number}")
    looks = looks_at_orgs(monkeypatch)
    ended = world.after(hours=2)
    assert (names(ended).count("CallEnded"), names(ended).count("CampaignEnded")) == (300, 300)
    assert len(looks) < 10


def test_many_campaigns_that_the_orgs_limit_holds_back_at_once_are_held_back_in_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Policy(org_limit=1, longest_call=timedelta(hours=5)))
    plan = {"earliestAt": "2030-01-01T10:00:00Z"}
    for number in range(300):
        world.create(1, schedulePlan=plan, id=f"c-{number}")
    world.after(hours=1)
    (called,) = (call for campaign in world.state.campaigns.values() for call in campaign.calls.values())
    looks = looks_at_orgs(monkeypatch)
    assert names(world.dial(called)).count("CampaignHeldBack") == 299
    assert names(world.after(hours=1)).count("CampaignEnded") == 299
    assert len(looks) < 20
