"""What the log says of a campaign and its calls, fact by fact."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from events import commands
from events.codec import encode_event, read_event
from events.instants import iso
from projections.errors import FoldError, UnknownEventError
from projections.reading import log_event
from services.engine.decider.policy import Policy
from tests.engine.given import World
from tests.projections.given import Rows, counters, folded, records, spread


def rows(world: World) -> Rows:
    return folded(records(spread(world.log)))


def nonzero(rows: Rows) -> dict[str, int]:
    return {name: count for name, count in counters(rows.campaign()).items() if count}


def started(size: int = 1, **fields: Any) -> tuple[World, str]:
    world = World()
    return world, world.create(size, **fields)


def test_a_campaign_is_shown_once_its_contacts_are_complete() -> None:
    world = World()
    draft = commands.CreateCampaign.model_validate({"name": "n", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
    world.do(draft, id="c")
    assert (rows(world).campaign().shown, rows(world).campaign().parts) == (False, 2)
    (campaign_id,) = world.state.campaigns
    part = {"customers": [{"number": "+14155550001"}]}
    world.do(commands.AddContacts.model_validate({"part": 0, **part}), campaign_id, id="p0")
    assert (rows(world).campaign().shown, rows(world).campaign().parts_received) == (False, 1)
    world.do(commands.AddContacts.model_validate({"part": 1, **part}), campaign_id, id="p1")
    campaign = rows(world).campaign()
    assert (campaign.shown, campaign.complete, campaign.contacts_due_at, campaign.total) == (True, True, None, 2)


def test_the_spec_stands_as_on_the_wire_with_its_concurrency_always_given() -> None:
    world, _ = started(serverMessages=["campaign.ended"], server={"url": "https://example.com"})
    spec = orjson.loads(rows(world).campaign().spec)
    assert spec == {
        "name": "Spring",
        "assistantId": "a-1",
        "phoneNumberId": "p-1",
        "maxConcurrency": 10,
        "server": {"url": "https://example.com"},
        "serverMessages": ["campaign.ended"],
    }


def test_calls_count_as_scheduled_queued_in_progress_and_ended_while_they_pass_through() -> None:
    world, campaign_id = started(2, maxConcurrency=1)
    assert nonzero(rows(world)) == {"calls_scheduled": 1, "calls_queued": 1, "contacts_pending": 1, "contacts_dispatched": 1}
    (call,) = world.active(campaign_id)
    world.claim(call)
    world.outcome(call, provider="sim", provider_call_id="x-1")
    world.report(call, "in-progress")
    seen = nonzero(rows(world))
    assert (seen["calls_in_progress"], seen["contacts_dispatched"], seen["dialed"]) == (1, 1, 1)
    world.report(call, "ended", ended_reason="customer-ended-call", cost=0.25, final=True)
    seen = nonzero(rows(world))
    assert (seen["calls_ended"], seen["contacts_completed"], seen["connected"], seen["cost_micros"]) == (1, 1, 1, 250_000)


@pytest.mark.parametrize("status", ["ringing", "in-progress", "forwarding"])
def test_ringing_in_progress_and_forwarding_all_count_as_in_progress(status: str) -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    world.claim(call)
    world.report(call, status)
    assert rows(world).campaign().calls_in_progress == 1


def test_voicemail_completes_the_contact_and_is_dialed_but_not_connected() -> None:
    world, campaign_id = started()
    world.finish(world.active(campaign_id)[0], "voicemail")
    seen = nonzero(rows(world))
    assert seen == {"calls_ended": 1, "calls_ended_voicemail": 1, "contacts_completed": 1, "dialed": 1}


@pytest.mark.parametrize(
    ("outcome", "claimed", "contact"),
    [("refused", True, "contacts_failed"), ("skipped", False, "contacts_skipped"), ("predial-failed", False, "contacts_predial_failed")],
)
def test_a_call_that_was_never_placed_is_not_dialed(outcome: str, claimed: bool, contact: str) -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    if claimed:
        world.claim(call)
    world.outcome(call, outcome, claim="" if claimed else None)
    assert nonzero(rows(world)) == {"calls_ended": 1, contact: 1}


def test_an_outcome_that_stays_unknown_fails_the_contact_and_is_not_dialed() -> None:
    world, campaign_id = started()
    world.claim(world.active(campaign_id)[0])
    world.after(minutes=2)
    call = rows(world).call()
    assert (call.status, call.outcome_unknown, call.placed) == ("queued", True, False)
    world.after(hours=3)
    call = rows(world).call()
    assert (call.ended_reason, call.outcome_unknown) == ("call.in-progress.error-outcome-unknown", False)
    assert nonzero(rows(world)) == {"calls_ended": 1, "contacts_failed": 1}


def test_a_report_resolves_an_unknown_outcome_and_proves_the_dial() -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    world.claim(call)
    world.after(minutes=2)
    world.report(call, "ringing")
    row = rows(world).call()
    assert (row.status, row.outcome_unknown, row.placed) == ("ringing", False, True)


def test_a_call_that_surely_was_not_placed_is_offered_again_without_its_claim() -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    world.claim(call)
    first = rows(world).call()
    world.outcome(call, "not-placed")
    again = rows(world).call()
    assert first.claim_id is not None
    assert (again.status, again.attempt, again.claim_id, again.outcome_due_at, again.ends_by) == ("queued", 1, None, None, None)
    assert again.dispatched_at == first.dispatched_at


def test_the_final_report_after_the_end_adds_cost_and_analysis_once() -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    world.claim(call)
    world.report(call, "ended", ended_reason="customer-ended-call")
    assert rows(world).call().report_due_at is not None
    world.report(call, "ended", cost=0.5, analysis={"summary": "well"}, final=True)
    row = rows(world).call()
    assert (row.cost, row.analysis, row.report_due_at) == (0.5, '{"summary":"well"}', None)
    assert rows(world).campaign().cost_micros == 500_000


def test_stopping_changes_the_status_at_once_and_pending_calls_end_as_skipped() -> None:
    world, campaign_id = started(3, maxConcurrency=1)
    world.claim(world.active(campaign_id)[0])
    world.do(commands.StopCampaign(), campaign_id)
    campaign = rows(world).campaign()
    assert (campaign.status, campaign.ended_reason) == ("ended", "campaign.in-progress.ended-by-user")
    assert (campaign.calls_ended, campaign.contacts_skipped, campaign.calls_queued) == (2, 2, 1)


def test_a_v2_stop_is_cancelled_then_archived_and_keeps_its_reason() -> None:
    plan = {"schedulePlan": {"earliestAt": "2031-01-01T00:00:00Z"}}
    world, campaign_id = started(2, **plan)
    world.do(commands.StopCampaign(status="cancelled"), campaign_id)
    assert rows(world).campaign().status == "cancelled"
    world.do(commands.ArchiveCampaign(), campaign_id)
    campaign = rows(world).campaign()
    assert (campaign.status, campaign.ended_reason) == ("archived", "campaign.scheduled.ended-by-user")


def test_a_deleted_campaign_keeps_its_row_and_its_last_calls_still_count() -> None:
    world, campaign_id = started()
    (call,) = world.active(campaign_id)
    world.claim(call)
    world.do(commands.DeleteCampaign(), campaign_id)
    world.report(call, "ended", ended_reason="customer-ended-call", final=True)
    campaign = rows(world).campaign()
    assert (campaign.deleted, campaign.calls_ended, campaign.connected) == (True, 1, 1)


def test_pause_is_no_status_and_resuming_offers_unclaimed_calls_again() -> None:
    world, campaign_id = started()
    world.do(commands.PauseCampaign(), campaign_id)
    assert (rows(world).campaign().paused, rows(world).campaign().status) == (True, "in-progress")
    world.do(commands.ResumeCampaign(), campaign_id)
    assert rows(world).campaign().paused is False


def test_a_new_target_takes_the_place_of_the_old_one() -> None:
    world, campaign_id = started(1, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    world.do(commands.UpdateCampaign(squad_id="s-1", name="Autumn"), campaign_id)
    spec = orjson.loads(rows(world).campaign().spec)
    assert (spec["squadId"], spec["name"], "assistantId" in spec) == ("s-1", "Autumn", False)


def test_a_new_dial_plan_drops_the_calls_so_far_and_goes_on_with_the_next_position() -> None:
    world, campaign_id = started(3, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    plan = {"dialPlan": [{"phoneNumberId": "p-2", "customers": [{"number": "+14155550099"}]}]}
    world.do(commands.UpdateCampaign.model_validate(plan), campaign_id)
    after = rows(world)
    campaign = after.campaign()
    assert (campaign.first_position, campaign.total, campaign.has_dial_plan, campaign.complete) == (3, 4, True, True)
    assert nonzero(after) == {"calls_scheduled": 1, "contacts_pending": 1}
    assert [contact[3:6] for contact in after.contacts.values()] == [(3, 0, "p-2")]
    assert "phoneNumberId" not in orjson.loads(campaign.spec)


def test_a_rejected_command_is_remembered_and_touches_no_campaign() -> None:
    world, campaign_id = started()
    before = rows(world)
    world.do(commands.StopCampaign(), "00000000-0000-5000-8000-000000000000", id="stray")
    world.do(commands.ResumeCampaign(), campaign_id, id="idle")
    after = rows(world)
    assert after.campaigns == before.campaigns
    rejected, idle = after.handled["org-1", "stray"], after.handled["org-1", "idle"]
    assert (rejected.first_type, orjson.loads(rejected.rejection or "")["reason"]) == ("CommandRejected.v1", "not-found")
    assert (idle.first_type, idle.campaign_id) == ("CommandHadNoEffect.v1", campaign_id)


def test_a_command_is_remembered_by_what_it_yielded_first() -> None:
    world, _ = started(2)
    (row,) = rows(world).handled.values()
    assert (row.first_type, row.first_at, row.rejection) == ("CampaignCreated.v1", "2030-01-01T09:00:00.000Z", None)


def test_an_unknown_event_or_version_stops_the_fold_loudly() -> None:
    log = records(World().do(commands.StopCampaign(), "00000000-0000-5000-8000-000000000000"))
    log[0].type = "CampaignCreated.v9"
    with pytest.raises(UnknownEventError, match=r"CampaignCreated\.v9"):
        folded(log)


def test_an_event_of_a_campaign_or_call_that_never_was_stops_the_fold_loudly() -> None:
    world, _ = started()
    log = records(world.log)
    with pytest.raises(FoldError):
        folded([event for event in log if event.type != "CampaignCreated.v1"])
    with pytest.raises(FoldError):
        folded([event for event in log if event.type != "CallScheduled.v1"])


def test_a_gap_in_the_positions_stops_the_fold_loudly() -> None:
    world, _ = started(3)
    log = records(world.log)
    lost = next(event for event in log if event.type == "CallScheduled.v1" and event.data.position == 1)
    with pytest.raises(FoldError, match="position 2"):
        folded([event for event in log if event is not lost])


def test_a_field_of_a_later_release_is_passed_over() -> None:
    world, _ = started()
    extended = [read_event(encode_event(event, f"e-{number}")) for number, event in enumerate(world.log)]
    for record in extended:
        record["data"]["addedLater"] = {"x": 1}
    assert folded([log_event(record) for record in extended]).seen() == folded(records(world.log)).seen()


def test_the_version_counts_the_events_that_changed_the_campaign_or_its_calls() -> None:
    world, campaign_id = started(1)
    world.finish(world.active(campaign_id)[0])
    assert rows(world).campaign().version == len(world.log)
    assert rows(world).campaign().updated_at == records(spread(world.log))[-1].time


def test_contacts_added_later_count_and_come_last() -> None:
    world, campaign_id = started(2, maxConcurrency=1)
    world.do(commands.AddContacts.model_validate({"customers": [{"number": "+14155550009"}]}), campaign_id)
    found = rows(world)
    assert (found.campaign().total, found.campaign().complete, nonzero(found)["calls_scheduled"]) == (3, True, 2)
    assert sorted(contact[3] for contact in found.contacts.values()) == [0, 1, 2]


def test_a_later_hold_by_the_orgs_limit_has_its_own_end() -> None:
    world = World(Policy(org_limit=2, longest_call=timedelta(hours=9)))
    first, long = world.create(2, maxConcurrency=2, id="one"), world.create(100, maxConcurrency=2, id="two")
    world.run_out(first)
    for call in world.active(long):
        world.claim(call)
        world.outcome(call)
    world.after(hours=2)
    world.create(1, maxConcurrency=1, id="three")
    world.report(world.active(long)[0], "ended", ended_reason="voicemail", final=True)
    expected = world.campaign(long).retry_until
    assert expected is not None
    assert rows(world).campaigns[long].retry_until == iso(expected)


def test_the_contacts_completed_before_they_were_replaced_do_not_complete_those_that_come() -> None:
    world, campaign_id = started(schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    plan = [{"phoneNumberId": "p", "customers": [{"number": "+14155550001"}, {"number": "+14155550002"}]}]
    world.do(commands.UpdateCampaign.model_validate({"dialPlan": plan}), campaign_id)
    log = records(spread(world.log))
    assert [record.type for record in log[2:5]] == ["ContactsCompleted.v1", "CampaignUpdated.v1", "CallScheduled.v1"]
    assert not folded([*log[:5], log[2]]).campaign().complete
    assert folded([*log, log[2]]).campaign().complete
