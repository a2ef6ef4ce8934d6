"""For any commands, reports, delays and doubles: limits hold, calls are counted once, and the log alone gives the state."""

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from events import commands, facts
from events.calls import ORG_LIMIT_REACHED, RANK, STATUS_AFTER
from events.envelope import Event
from services.engine.decider.evolve import evolve
from services.engine.decider.policy import Policy
from services.engine.decider.state import CampaignState, PartitionState
from tests.engine.given import World, draft, through_the_log

_LIMIT = 3
_ORGS = ("org-1", "org-2")

_OUTCOMES = st.sampled_from(["placed", "refused", "not-placed", "unknown", "skipped", "not-found"])

_USER: dict[str, commands.CommandData] = {
    "stop": commands.StopCampaign(),
    "pause": commands.PauseCampaign(),
    "resume": commands.ResumeCampaign(),
    "archive": commands.ArchiveCampaign(),
    "delete": commands.DeleteCampaign(),
    "name": commands.UpdateCampaign(name="new"),
    "add": commands.AddContacts.model_validate({"customers": [{"number": "+14155550003"}, {"number": "+14155550004"}]}),
    "plan": commands.UpdateCampaign.model_validate(
        {"dialPlan": [{"phoneNumberId": "p", "customers": [{"number": "+14155550001"}, {"number": "+14155550002"}]}]}
    ),
}

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(_ORGS), st.integers(1, 5), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("claim"), st.integers(0, 9), st.sampled_from(["a", "b"]), st.booleans()),
        st.tuples(st.just("outcome"), st.integers(0, 9), st.sampled_from(["a", "b"]), _OUTCOMES),
        st.tuples(st.just("report"), st.integers(0, 9), st.sampled_from(["ringing", "in-progress", "forwarding", "ended"]), st.booleans()),
        st.tuples(st.just("user"), st.integers(0, 4), st.sampled_from(sorted(_USER))),
        st.tuples(st.just("wait"), st.sampled_from([1, 60, 600, 4_000])),
    ),
    max_size=40,
)  # fmt: skip


def play(steps: list[tuple[Any, ...]]) -> World:
    world = World(Policy(org_limit=_LIMIT))
    for number, (kind, *rest) in enumerate(steps):
        if kind == "create":
            org, count, most, later = rest
            plan = {"schedulePlan": {"earliestAt": "2030-01-01T09:05:00Z", "latestAt": "2030-01-01T11:00:00Z"}} if later else {}
            world.do(draft(count, maxConcurrency=most, **plan), org=org, id=f"create-{number}")
        elif kind == "wait":
            world.after(seconds=rest[0])
        elif kind == "user":
            known = list(world.state.campaigns.values())
            if known:
                campaign = known[rest[0] % len(known)]
                world.do(_USER[rest[1]], campaign.id, org=campaign.org_id, id=f"user-{number}")
        else:
            call_command(world, kind, rest)
        check_limits(world)
    return world


def call_command(world: World, kind: str, rest: list[Any]) -> None:
    queued = [event for event in world.log if event.data.type_name == "CallQueued.v1"]
    if not queued:
        return
    event = queued[rest[0] % len(queued)]
    data: commands.CommandData
    if kind == "claim":
        until = world.now + timedelta(seconds=30 if rest[2] else -1)
        data = commands.ClaimCall(attempt=1, claimant=rest[1], valid_until=until)
        id = f"claim-{rest[1]}-{event.call_id}"
    elif kind == "outcome":
        claim = None if rest[2] in ("skipped", "not-found") else f"claim-{rest[1]}-{event.call_id}"
        data = commands.DialOutcome(attempt=1, claim_id=claim, outcome=rest[2])
        id = f"outcome-{world.asked}"
    else:
        data = commands.ReportCall(attempt=1, status=rest[1], final=rest[2], ended_reason="voicemail")
        id = f"report-{world.asked}"
    world.do(data, event.campaign_id, event.call_id, event.org_id, id=id)


def check_limits(world: World) -> None:
    for org in world.state.orgs.values():
        active = [c for c in world.state.campaigns.values() if c.org_id == org.id]
        assert org.active == sum(len(campaign.calls) for campaign in active) <= _LIMIT
        assert org.dialed == sum(call.is_dialed for campaign in active for call in campaign.calls.values())
    for campaign in world.state.campaigns.values():
        assert len(campaign.calls) <= campaign.max_concurrency
        assert 0 <= campaign.pending <= campaign.total


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_limits_hold_at_every_instant_and_the_log_alone_gives_the_same_state(steps: list[tuple[Any, ...]]) -> None:
    world = play(steps)
    folded = through_the_log(world.log)
    assert folded.campaigns == world.state.campaigns
    orgs = {k: o for k, o in world.state.orgs.items() if k in folded.orgs}
    assert {k: (o.active, o.dialed) for k, o in folded.orgs.items()} == {k: (o.active, o.dialed) for k, o in orgs.items()}
    assert {k: list(o.open) for k, o in folded.orgs.items()} == {k: list(o.open) for k, o in orgs.items()}
    assert folded.handled == world.state.handled
    assert folded.awaited == world.state.awaited


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_a_call_is_granted_one_claim_at_a_time_only_moves_forward_and_ends_once(steps: list[tuple[Any, ...]]) -> None:
    world = play(steps)
    by_call: dict[str, list[Event]] = {}
    for event in world.log:
        if event.call_id is not None:
            by_call.setdefault(event.call_id, []).append(event)
    for events in by_call.values():
        types = [event.data.type_name for event in events]
        ranks = [RANK[STATUS_AFTER[type_name]] for type_name in types if type_name in STATUS_AFTER]
        assert ranks == sorted(ranks)
        assert types.count("CallEnded.v1") <= 1
        open_claims = 0
        for type_name in types:
            open_claims = {"CallClaimed.v1": open_claims + 1, "CallQueued.v1": 0}.get(type_name, open_claims)
            assert open_claims <= 1


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_hour_is_about_calls_that_are_dialed_and_not_about_those_that_a_pause_keeps(steps: list[tuple[Any, ...]]) -> None:
    state = PartitionState()
    for event in play(steps).log:
        if event.campaign_id in state.campaigns and _is_of_the_hour(state.campaigns[event.campaign_id], event):
            campaigns = [campaign for campaign in state.campaigns.values() if campaign.org_id == event.org_id]
            kept = [call for c in campaigns for call in c.calls.values() if not (c.paused and call.awaits_claim)]
            assert len(kept) == _LIMIT
            assert any(call.status != "queued" or call.placed or call.outcome_unknown for call in kept)
        evolve(state, event)


def _is_of_the_hour(campaign: CampaignState, event: Event) -> bool:
    """Whether it begins, or, not being of `latestAt`, ends a hold by the org's limit."""
    if isinstance(event.data, facts.CallEnded):
        is_late = campaign.latest_at is not None and event.at >= campaign.latest_at
        return event.data.ended_reason == ORG_LIMIT_REACHED and not is_late
    return isinstance(event.data, facts.CampaignHeldBack)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_every_user_command_is_answered_and_time_never_goes_back(steps: list[tuple[Any, ...]]) -> None:
    world = play(steps)
    times = [event.at for event in world.log]
    assert times == sorted(times)
    answered = Counter(event.causation_id for event in world.log if event.data.answers_user)
    created = sum(step[0] == "create" for step in steps)
    assert sum(1 for cause in answered if cause and cause.startswith("create-")) == created


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_left_alone_every_campaign_that_is_not_paused_ends(steps: list[tuple[Any, ...]]) -> None:
    world = play(steps)
    for _ in range(200):
        for campaign in list(world.state.campaigns.values()):
            if campaign.paused:
                world.do(_USER["resume"], campaign.id, org=campaign.org_id)
            for call in list(campaign.calls.values()):
                world.claim(call, f"last-{world.asked}", campaign.org_id)
        world.after(hours=2)
        if not any(org.open for org in world.state.orgs.values()):
            break
    assert all(campaign.is_over and not campaign.pending and not campaign.calls for campaign in world.state.campaigns.values())
